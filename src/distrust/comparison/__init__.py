"""Methods compared on one recipe: every method, setting and seed, carried out side by side and told apart by tests.

`cells` knows what there is to run, `work` runs it in the processes of `workers`, `figures` judges it; the page is
made in `report`.
"""
