"""A scalar Kalman filter with a constant-velocity model."""


class Filter:
    """`config`: `process_noise`, `measurement_noise` (variances), `period` (seconds between measurements)."""

    def __init__(self, config=None):
        config = config or {}
        self.q = config.get("process_noise", 1e-3)
        self.r = config.get("measurement_noise", 0.1)
        self.dt = config.get("period", 1.0)
        self.x = None
        self.v = 0.0
        self.p = [[1.0, 0.0], [0.0, 1.0]]

    def update(self, measurement):
        """Take one measurement, return the estimate of the value."""
        if self.x is None:
            self.x = measurement
            return self.x
        dt, p = self.dt, self.p
        self.x += self.v * dt
        p00 = p[0][0] + dt * (p[0][1] + p[1][0]) + dt * dt * p[1][1] + self.q
        p01 = p[0][1] + dt * p[1][1]
        p10 = p[1][0] + dt * p[1][1]
        p11 = p[1][1] + self.q
        error, spread = measurement - self.x, p00 + self.r
        k0, k1 = p00 / spread, p10 / spread
        self.x += k0 * error
        self.v += k1 * error
        self.p = [[(1 - k0) * p00, (1 - k0) * p01], [p10 - k1 * p00, p11 - k1 * p01]]
        return self.x


if __name__ == "__main__":
    import random

    rng = random.Random(7)
    noisy = [20 + rng.gauss(0, 1) for _ in range(200)]
    kalman = Filter({"process_noise": 1e-6, "measurement_noise": 1.0})
    estimate = [kalman.update(measurement) for measurement in noisy][-1]
    print(f"200 noisy measurements of 20: the last is {noisy[-1]:.2f}, the estimate {estimate:.2f}")
