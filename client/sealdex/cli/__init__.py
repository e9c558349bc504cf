"""The command line of the client. `group`, `output`, `errors`, `findings` and others also serve the builder's.

Its modules:

    main             the command sealdex: fast_path for what is asked in loops, click for everything else
    fast_path        list, path and ensure without click
    fast_list        what list and path show
    list_filter      which installations list shows
    fast_ensure      what ensure shows when everything is in place
    plain_calls      info, install and ensure without click, where they are called plainly
    run_info         what info does
    run_install      what install does
    run_ensure       what ensure does
    command_table    all commands by name, imported when they run
    commands/        the commands, a module for each group of them

    session          what every command is given: output, configuration, a client that shows progress
    context          the options that all commands with a client share
    group            a click group whose commands are imported when they run
    output           human, JSON and quiet modes; tables and colours
    progress         a progress line on a terminal
    translation      brings the messages of the reader's language; English imports none of the next four
    language         which languages are meant by LANGUAGE, LC_ALL, LC_MESSAGES, LANG
    messages         finds the message that a text was made from, and says it in another language
    help_text        --help in another language, measured in columns
    languages/       the messages, by scripts/messages.py
    refused_config   which plugins don't take the configuration that is kept for them
    findings         what status and doctor found: one table, one JSON shape; for both command lines
    complete         answers a shell that completes, in silence
    completers       what sealdex completes, by metavar and option
    attachments      fetch --attachment: which are meant, and fetching them
    summary          one line at the end: what was installed, in which time, how many bytes
    policy_options   which releases may be chosen: channel, pre-releases, yanked ones, rollouts
    mirror_options   what the commands about mirrors are told: root, selection, place
    mirror_report    what they show
    size_option      the type of options that take a size; for both command lines
    number_option    the types of options that take a number with a fraction, and seconds; for both command lines
    foreign_output   what a command runs prints: not in its JSON document, and no reason to end
    errors           every error becomes text or JSON, and an exit code
    error_table      from error type to advice and exit code
    log_handler      what plugins and the runtime log, through the output layer
    dry_run          what install and ensure would do
    update_check     says now and then what is outdated
    completion       shell completion
"""
