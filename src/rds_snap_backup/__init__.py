"""Amazon RDS events and schedules in, exactly one Commvault RDS snap backup out."""
