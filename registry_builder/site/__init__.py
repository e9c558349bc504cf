"""The browse site: from signed documents to pages. Decided purely, rendered reproducibly, written only if changed.

    from_tree           the whole site from a source tree, without anything being published
    from_published      the site of a mirror or a published folder, from its verified documents alone
    pages               builds the pages: documents in, rendered pages out
    document_source     where the pages get their documents
    affected_pages      which pages a change of index documents affects
    page_context        what all pages share
    registry_index      the registry as a whole: rows, newest releases, dependents
    held_files          which files of a registry may be linked
    plugin_view         the contents of a plugin's page
    search_catalog      search/catalogue.json: where search finds the catalog
    urls                the path of each page, and links between pages
    templates           templates and assets: where they come from, and rendering
    lint                problems of a source tree's site/ folder
    writer              writes pages into a folder, those whose bytes differ
    own_files           which files of a folder the site wrote, and removing those that are gone
    images/             images of READMEs, from public addresses into the source tree
    preview/            the site on a local web server
    static_api/         api/: the registry as plain JSON at stable addresses
    _badges             SVG badges
    _code_blocks        colours of code in READMEs
    _compiled_templates  templates that this process compiled before
    _drawings           releases over time and evaluations, as points on a canvas
    _extras             changelogs and provenance, read from what the index document pins
    _feeds              Atom feeds of releases
    _format             sizes, dates, selectors, platforms as text
    _home_view          the contents of the home page
    _languages          which language a text is in, and which a reader gets
    _list_pages         lists in pages whose bounds follow from the content
    _neighbours         what a plugin needs and what needs it, as a drawing
    _offline_verifier   verify.html: the form that verifies in a browser, in one file
    _platform_matrix    platforms of a release as a table
    _provenance         what Sigstore bundles say of where a release was built
    _readme_html        READMEs: Markdown to sanitised HTML
    _readme_rewrite     images, anchors and headings of a README, before it is sanitised
    _release_view       the contents of a release's page
    _schema_table       a JSON Schema as the rows of a table
    _words              the words of the interface in one language

The templates are in site_templates/ at the top of the repository, and are part of the wheel.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.site.from_published import PublishedSite, site_from_published
    from registry_builder.site.from_tree import site_from_tree
    from registry_builder.site.lint import site_problems
    from registry_builder.site.templates import has_words
    from registry_builder.site.writer import write_pages
else:
    __getattr__, __dir__ = exports(__name__, {
        "from_published": ("PublishedSite", "site_from_published"),
        "from_tree": ("site_from_tree",),
        "lint": ("site_problems",),
        "templates": ("has_words",),
        "writer": ("write_pages",),
    })  # fmt: skip

__all__ = [
    "PublishedSite",
    "has_words",
    "site_from_published",
    "site_from_tree",
    "site_problems",
    "write_pages",
]
