"""Models that the tests of this folder share."""

from tests.models.workshop import folder_of as folder_of
from tests.models.workshop import tiny_folder as tiny_folder
