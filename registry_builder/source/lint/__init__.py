"""Every problem of a source tree at once, each with its file, its place and what to write instead.

    tree             all of it
    artifacts        artifacts in the tree: there, of the stated size and digest, and safe
    readme           READMEs, and links that leave a plugin's folder
    schemas          JSON Schemas and defaults, checked by a bounded child process
    hub              ids of services and models in the Model Hub's documents
    template         release.yaml of working copies
    schema_worker    that child process
    secrets          secrets in what people write into documents
    _dependencies    dependencies: they exist, fit, are readable, and none is its own

Nothing is raised for content: each problem is a value, and all are reported.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.source.lint.template import template_problems
    from registry_builder.source.lint.tree import lint_tree
else:
    __getattr__, __dir__ = exports(__name__, {
        "template": ("template_problems",),
        "tree": ("lint_tree",),
    })  # fmt: skip

__all__ = [
    "lint_tree",
    "template_problems",
]
