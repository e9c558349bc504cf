"""A HAL driver for one motor on a board with a PWM device in sysfs (JetPack 5)."""

from pathlib import Path


class Motor:
    """`config`: `max_rpm`, and `pwm`, the sysfs folder of the channel."""

    def __init__(self, config=None):
        config = config or {}
        self.max_rpm = float(config.get("max_rpm", 3000))
        self.pwm = Path(config.get("pwm", "/sys/class/pwm/pwmchip0/pwm0"))
        self.rpm = 0.0

    def step(self, commanded_rpm, seconds):
        """Set the duty cycle for `commanded_rpm`; `seconds` is the caller's period."""
        self.rpm = max(-self.max_rpm, min(self.max_rpm, commanded_rpm))
        period = int((self.pwm / "period").read_text())
        (self.pwm / "duty_cycle").write_text(str(int(period * abs(self.rpm) / self.max_rpm)))
        return self.rpm
