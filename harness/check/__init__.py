"""Checks that the files in `harness/` and the Bitbucket pipelines fit this repository's binaries.

`schema` is for the shape of each file, the other modules for what no schema says; `rules` names every rule and runs
them all. What is true of the binaries comes from the binaries themselves (`facts`).
"""
