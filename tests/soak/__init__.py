"""The soak: random events of all sources under random faults, and a judge who looks at the desk.

``make soak SECONDS=60 SEED=1`` plays them through real processes, ``make soak-inprocess
EVENTS=100000 SEED=1`` through the worker's own code in one process, exactly repeatable.

    model.py      the alerts' truth: what each has been through, and what must have been told of it
    sources.py    how each monitoring system says so
    faults.py     what goes wrong meanwhile, by chance
    processes.py  feeders, commands, a worker, a timer: what the real half consists of
    player.py     plays a season of the real half: events and faults, then calm
    inprocess.py  plays a season in this process
    pretended.py  the clock, the disk and the API that it has there
    desk.py       what stands at the desk, and the people who work there
    judge.py      holds the desk against the truth
"""
