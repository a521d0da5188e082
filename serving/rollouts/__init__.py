"""Roll-outs: new variants get requests step by step, are watched, and are taken back where they do harm.

    counts.py      what a server counts, and the questions that the counts answer
    watching.py    how it counts: watchers of answers, looks at the metrics
    odds.py        evidence in counts: why its mean is at most 1 where there is no harm
    bets.py        bets on it: why one may look at any time
    evidence.py    the evidence of a whole roll-out, of all servers
    controller.py  the thread that acts on it

The records, and what each step does to them, are in `storage/rollouts.py`. Start reading at `odds.py`.

Decisions:
    One test for errors, latency and scores: each is a share of requests of which something is true. What had to be
        right once is right for all three, and a figure such as "9 % against 5 %" can be told to people.
    The test assumes no rate, no model of traffic and no sample size; what makes it valid is that inference ids draw the
        variant. So time of day, bursts, outages that hit both, and slow servers are no false alarms.
    Answers of a client that sends one inference id over and over all go to one side. Ten faults of one poisoned id are
        no ten: `minimum` keeps a handful of requests from deciding, and ids should be distinct where they can be.
    Judging is done where the store is, not where requests are answered: servers tell sums, and one of them judges.
"""
