"""Slips that people make in these files, each with the rule that must catch it."""

from .bitbucket import BITBUCKET
from .chain import CHAIN
from .edits import Mutation
from .job import JOB
from .secrets import SECRETS
from .shapes import SHAPES
from .start import START
from .variables import VARIABLES

__all__ = ["MUTATIONS", "Mutation"]

MUTATIONS = [*VARIABLES, *SHAPES, *JOB, *CHAIN, *START, *SECRETS, *BITBUCKET]
