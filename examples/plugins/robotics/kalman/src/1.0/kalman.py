"""A scalar Kalman filter with a constant model."""


class Filter:
    """`config`: `process_noise`, `measurement_noise` (variances)."""

    def __init__(self, config=None):
        config = config or {}
        self.q = config.get("process_noise", 1e-3)
        self.r = config.get("measurement_noise", 0.1)
        self.x = None
        self.p = 1.0

    def update(self, measurement):
        """Take one measurement, return the estimate."""
        if self.x is None:
            self.x = measurement
            return self.x
        self.p += self.q
        gain = self.p / (self.p + self.r)
        self.x += gain * (measurement - self.x)
        self.p *= 1 - gain
        return self.x


if __name__ == "__main__":
    import random

    rng = random.Random(7)
    noisy = [20 + rng.gauss(0, 1) for _ in range(200)]
    kalman = Filter({"process_noise": 1e-6, "measurement_noise": 1.0})
    estimate = [kalman.update(measurement) for measurement in noisy][-1]
    print(f"200 noisy measurements of 20: the last is {noisy[-1]:.2f}, the estimate {estimate:.2f}")
