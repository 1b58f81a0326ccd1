"""The smallest authorities: one that holds no plan, and has no past, is as sound as any."""

from cpis_batch.register.schema import HISTORY, PLANS
from cpis_batch.register.verify import faults_of_history, faults_of_plans
from tests.builders import HACKNEY


def test_f71_an_authority_without_a_plan_is_not_taken_for_damaged():
    assert faults_of_plans(PLANS.empty_table(), HACKNEY) == []
    assert faults_of_history(HISTORY.empty_table(), HACKNEY) == []
