"""Every table of the database, by what it is about; rules that a row must keep are constraints.

log      what happened: events, their erasable payloads, signed checkpoints
people   who judges, and who they are, apart
work     prompts, responses, campaigns, tasks, leases, and what was judged
making   runs, artifacts, releases and jobs

`migrations` makes the same tables; a test compares the two.
"""

from accord.store.tables.columns import METADATA as METADATA
from accord.store.tables.log import checkpoints as checkpoints
from accord.store.tables.log import events as events
from accord.store.tables.log import log as log
from accord.store.tables.log import payloads as payloads
from accord.store.tables.making import artifact_inputs as artifact_inputs
from accord.store.tables.making import artifacts as artifacts
from accord.store.tables.making import jobs as jobs
from accord.store.tables.making import releases as releases
from accord.store.tables.making import runs as runs
from accord.store.tables.people import guidelines as guidelines
from accord.store.tables.people import identities as identities
from accord.store.tables.people import raters as raters
from accord.store.tables.work import assignments as assignments
from accord.store.tables.work import campaigns as campaigns
from accord.store.tables.work import judgements as judgements
from accord.store.tables.work import memberships as memberships
from accord.store.tables.work import prompts as prompts
from accord.store.tables.work import responses as responses
from accord.store.tables.work import task_responses as task_responses
from accord.store.tables.work import tasks as tasks
