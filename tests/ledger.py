"""The ledger's table, made as the template defines it."""

from typing import Any

from tests.unit.template import TEMPLATE


def create_ledger(dynamodb: Any, name: str) -> None:
    """Create the table."""
    properties = TEMPLATE["Resources"]["Ledger"]["Properties"]
    shape = {key: properties[key] for key in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")}
    dynamodb.create_table(TableName=name, BillingMode=properties["BillingMode"], **shape)
