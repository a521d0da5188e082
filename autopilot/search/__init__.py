"""The search: which candidate with which parameters, within a deadline, and the ensemble of the best.

- `space.py`: ranges of parameters; `tpe.py`: hyperopt behind ask and tell, its only importer;
- `folds.py`: which rows train, validate and test; `matrices.py`: the feature matrices of each fold;
- `trial.py`: one candidate with one set of parameters over the folds; `search.py`: which trial is next;
- `ensemble.py`: greedy selection among finished trials.

What may not live here: graphs, storage, printing. The search tells an observer what happens; `fit.py` decides who
listens.
"""
