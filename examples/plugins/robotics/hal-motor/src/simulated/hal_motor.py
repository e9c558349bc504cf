"""A HAL driver for one motor, simulated: speed follows the command within the acceleration limit."""


class Motor:
    """`config`: `max_rpm` (revolutions a minute) and `acceleration` (rpm a second)."""

    def __init__(self, config=None):
        config = config or {}
        self.max_rpm = float(config.get("max_rpm", 3000))
        self.acceleration = float(config.get("acceleration", 1000))
        self.rpm = 0.0
        self.turns = 0.0

    def step(self, commanded_rpm, seconds):
        """Advance by `seconds` towards `commanded_rpm` and return the speed reached."""
        wanted = max(-self.max_rpm, min(self.max_rpm, commanded_rpm))
        change = self.acceleration * seconds
        self.rpm += max(-change, min(change, wanted - self.rpm))
        self.turns += self.rpm / 60 * seconds
        return self.rpm
