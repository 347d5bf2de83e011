"""The systems SQS and SNS: queues, notifications, and the batch loop of a queue's consumer."""
