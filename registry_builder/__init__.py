"""The builder of Sealdex: compiles a source tree into a signed, immutable registry and publishes it.

    api             releasing and publishing, for programs
    cli/            the command line
    source/         the source tree that people edit: loading and lint
    authoring/      new registries and plugins, packing, releases, events
    importers/      other registries' metadata into a source tree
    compile/        from the source tree to published documents, purely
    signing/        keys, and the signing of TUF roles
    ceremony/       changes of root and targets, signed on different machines
    baseline/       the published state, verified
    publication/    publish and refresh
    site/           the browse site
    storage/        folder, S3 bucket or URL, behind one protocol
    throwaway       a registry in a temporary folder, with keys of its own
    trial           a plugin tried out: packed, published, installed, loaded, run
    trial_host      a host for that, in a process of its own
    testing         fixtures for the tests of plugins
    maintenance/    status, audit, gc, doctor, recovery
    parallel        work over forked processes, if that is safe

For programs: `release`, `publish` and `evaluate` of `registry_builder.api`, imported on first use.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.api import evaluate, publish, release
else:
    __getattr__, __dir__ = exports(__name__, {"api": ("evaluate", "publish", "release")})

__all__ = ["evaluate", "publish", "release"]
