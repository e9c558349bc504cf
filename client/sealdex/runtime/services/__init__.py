"""Services: a supervisor for each, its state and log files for other processes, and the API.

``python -m sealdex.runtime.services`` is the supervisor of one service in the background.

    api             run, start, list and stop the services of a store, read their logs
    dependencies    the services that a service depends on
    state           what is known of a service across processes
    supervisor      keeps one service running
    _plan           what starting a service means, decided before anything is started
    _process        one run of a service, told as events
    _health         asks a service whether it is healthy
    _log            the log of a service: bounded, and read while it is written
    _report         what a supervisor tells of its service
    _store_view     what a supervisor asks of the store

On disk:

    <store>/run/<namespace>/<name>/     state, log and lock of a service (`sealdex.runtime.services.state`)
"""
