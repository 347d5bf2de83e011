variable "release" {
  description = "Folder with two files of a release: rds-snap-backup-VERSION-plain.yaml and rds-snap-backup-VERSION-functions.zip"
  type        = string
}

variable "commvault_api_url" {
  description = "Base of Commvault's API, such as https://HOST/commandcenter/api, or the SaaS API host"
  type        = string
}

variable "notification_email" {
  description = "E-mail address for notifications and alarms; empty: none"
  type        = string
  default     = ""
}

variable "parameters" {
  description = "Further parameters of the template, by name"
  type        = map(string)
  default     = {}
}

variable "stack_name" {
  description = "Name of the stack"
  type        = string
  default     = "rds-snap-backup"
}

variable "fleet" {
  description = "Directory with fleet.yaml and targets/"
  type        = string
  default     = "../fleet"
}
