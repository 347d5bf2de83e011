"""AWS's list prices, from which the costs of a backup and of a stack that stands by are computed. Free tiers are left out."""

PRICED = "us-east-1, list prices of June 2025"
# US dollars.
PRICES = {
    "Lambda GB-second (arm64)": 0.0000133334,
    "Lambda request": 0.20e-6,
    "DynamoDB write unit": 0.625e-6,
    "DynamoDB read unit": 0.125e-6,
    "SNS publish": 0.50e-6,
    "SQS request": 0.40e-6,
    "Secrets Manager call": 0.05e-4,
    "CloudWatch Logs GB": 0.50,
    "Secrets Manager secret-month": 0.40,
    "CloudWatch metric-month": 0.30,
    "CloudWatch alarm-month": 0.10,
    "CloudWatch dashboard-month": 3.00,
    "Systems Manager advanced parameter-month": 0.05,
}
DAYS = 365 / 12  # of a month
