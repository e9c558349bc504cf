"""The command line of the builder: click commands that call the library and print the results.

    main                the table of all commands, imported only when they run
    init                a new source tree, its workflows, the template of its account
    authoring           new, pack, release
    trial               test
    ship                ship
    plugin_argument     a plugin as an argument: NS/NAME or its folder
    lifecycle           yank, deprecate, promote, evaluate, attest and their opposites
    move                move
    import_             import
    upgrade             upgrade
    validate            validate
    diff                diff
    publish             publish
    refresh             refresh
    status              status
    verify_published    verify-published
    recover             recover
    unlock              unlock
    gc                  gc
    access              access policy
    stats               stats
    doctor              doctor
    cloud               cloud trust, cloud claims: documents for the account at AWS
    cloud_stack         cloud template, cloud outputs
    pages               pages check, pages deployed
    serve               serve
    site                site
    images              images update
    keys                keys create, add, list, show, check
    ceremony            ceremony start, sign, show, finish, abort
    ceremony_branch     ceremony take
    namespace           namespace sign, list
    realm               realm add, list, show, remove
    completion          completion
    completers          what is completed, by metavar and option
    options             what commands share: options, the source tree, passphrases, examples
    realms              the realms of a command, opened
    accept_removed      --accept-removed, and how publish and diff end without it
    role_options        --keys ROLE=KEY,... and --threshold ROLE=N
    archive_argument    an archive argument: PATH:os=linux,arch=arm64
    plan_output         a publish plan, for people and for programs
    markdown            what commands found, as Markdown for --summary
    _importing        what the import commands share: options, the run, the report
    _findings           what status and doctor found, in the shape of both programs
    _listed             a file of a listing, for --json

Nothing imports a command but `main`; commands import rooms by their faces (`from registry_builder import publication`),
so that --help of one costs nothing of another.
"""
