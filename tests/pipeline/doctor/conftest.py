"""What the tests of this folder share."""

from tests.pipeline.doctor.clinic import clinic as clinic
