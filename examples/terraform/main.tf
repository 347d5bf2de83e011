# The stack, from the files of a release, and the functions that it reads from S3.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

locals {
  template  = "${var.release}/${one(fileset(var.release, "rds-snap-backup-*-plain.yaml"))}"
  functions = "${var.release}/${one(fileset(var.release, "rds-snap-backup-*-functions.zip"))}"
  outputs   = aws_cloudformation_stack.product.outputs
}

resource "aws_s3_bucket" "release" {
  bucket_prefix = "rds-snap-backup-"
}

# The keys are hashes: new contents update the stack. The old object stays until then, for a rollback.
resource "aws_s3_object" "template" {
  bucket = aws_s3_bucket.release.id
  key    = "${filesha256(local.template)}.yaml"
  source = local.template

  lifecycle { create_before_destroy = true }
}

resource "aws_s3_object" "functions" {
  bucket = aws_s3_bucket.release.id
  key    = "${filesha256(local.functions)}.zip"
  source = local.functions

  lifecycle { create_before_destroy = true }
}

resource "aws_cloudformation_stack" "product" {
  name         = var.stack_name
  template_url = "https://${aws_s3_bucket.release.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM"]
  parameters = merge(var.parameters, {
    CommvaultApiUrl   = var.commvault_api_url
    NotificationEmail = var.notification_email
    CodeBucket        = aws_s3_bucket.release.id
    CodeKey           = aws_s3_object.functions.key
  })
}
