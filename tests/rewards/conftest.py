"""Models that the tests of this folder share."""

from tests.models.workshop import tiny_folder as tiny_folder
