"""What the log says of a write to a storage: key, size, condition and result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from registry_builder.storage.protocol import Body, LostRaceError, ObjectConflictError
from sealdex.log import Log, stopwatch

NEW, ALWAYS, THERE = "nothing is there", "none", "the same bytes are there"

_log = Log("registry_builder.storage")


class Put:
    """One write on its way; who writes says what came of it."""

    result = "written"


@contextmanager
def logged_put(key: str, body: Body, condition: str) -> Iterator[Put]:
    """Log a write when it ends, and how; each for ``-vv``."""
    put, took = Put(), stopwatch()
    try:
        yield put
    except LostRaceError:
        put.result = "refused: another publisher was first"
        raise
    except ObjectConflictError:
        put.result = "refused: another file is there"
        raise
    except BaseException as error:
        put.result = f"failed: {error}"
        raise
    finally:
        _log.debug(
            "storage.put",
            "PUT {key}: {bytes} bytes, condition: {condition}; {result} in {seconds} s",
            key=key,
            bytes=body.size,
            condition=condition,
            result=put.result,
            seconds=took(),
        )
