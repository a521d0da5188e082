"""The search: which candidate with which parameters, within a deadline, and the ensemble of the best.

- `space.py`: ranges of parameters; `tpe.py`: hyperopt behind ask and tell, its only importer;
- `portfolio.py`: good points in a learnt order; `strategy.py`: which of these means are used;
- `folds.py`: which rows train, validate and test; `nested.py`: an honest score where no rows are kept for a test;
- `study.py`: what the trials of a run share, in a folder; `matrices.py`: the features of each part of the rows;
- `trial.py`: training on one part, in a worker; `family.py`, `racing.py`: what is worth its time; `search.py`: which
  part of which trial is next; `probe.py`: how fast this machine is;
- `scoring.py`: how good out-of-fold predictions are; `combining.py`: the ensemble while the search goes on;
- `ensemble.py`: greedy selection among finished trials, with a price on latency; `averages.py`: the loss of many
  averages at once; `latency.py`: what one row costs in each part of a graph; `frontier.py`: what a better score costs;
- `head.py`: calibration, thresholds, intervals and sets by out-of-fold predictions;
- `kept.py`, `assembly.py`: fitted models, and from them one file.

What may not live here: processes (`workers/`), storage, printing. The search tells an observer what happens; `fit.py`
decides who listens.
"""
