variable "project" {
  description = "Google Cloud project that everything is made in."
  type        = string
}

variable "region" {
  description = "Near your callers and your carrier: each 100 km is a millisecond."
  type        = string
  default     = "europe-west3"
}

variable "host" {
  description = "Name under which Twilio reaches the connector, such as voice.example.com."
  type        = string
}

variable "nodes" {
  description = "Nodes per zone, at least and at most. Three zones of one node each carry 3 to 10 pods."
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 3 }
}

variable "machine_type" {
  description = "Of the nodes that carry calls and models."
  type        = string
  default     = "c3-standard-8"
}

variable "gpu" {
  description = "A pool with an NVIDIA L4 per node for Ollama and Whisper (deploy/k8s/components/gpu)."
  type        = bool
  default     = false
}

variable "sip_sources" {
  description = "Networks of carriers and SBCs that send calls by SIP (overlay gke-sip). Empty: none."
  type        = list(string)
  default     = []
}

variable "operators" {
  description = "Networks from which the cluster's API is reached. Empty: only from within the network."
  type        = list(object({ name = string, cidr = string }))
  default     = []
}

variable "deletion_protection" {
  description = "Refuse to destroy the cluster."
  type        = bool
  default     = true
}
