"""What keeps heavy fixtures and Ray from being started twice: groups of tests stay together."""

import os

import pytest


@pytest.mark.xdist_group("groups")
def test_a_group_reaches_the_scheduler(request):
    """It reads the group at the end of the id, which xdist writes there."""
    if "PYTEST_XDIST_WORKER" in os.environ and request.config.getoption("loadgroup", False):
        assert request.node.nodeid.endswith("@groups"), pytest.__version__
