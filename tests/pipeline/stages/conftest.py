"""What tests of stages share: the tiny model's folder."""

from tests.models.workshop import tiny_folder as tiny_folder
