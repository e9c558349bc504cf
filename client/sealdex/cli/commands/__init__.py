"""The commands of ``sealdex``, a module for each group; `sealdex.cli.command_table` imports them when they run."""
