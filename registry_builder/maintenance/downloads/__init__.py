"""Downloads by release and day, counted from access logs: nothing of a log but numbers leaves this package.

    stats           a realm's numbers: from logs to stats.json, merged with an earlier one, and into the store
    _tally          which answers are downloads of which release, each of them once. Pure
    _log_files      logs as files: folders, gzip, lines, and every problem with its file and line
    _log_lines      lines of CloudFront's, S3's and nginx's logs as answers. Pure

What counts, and why: docs/decisions/0055.
"""
