resource "google_container_cluster" "oavc" {
  name                = "oavc"
  location            = var.region
  network             = google_compute_network.oavc.id
  subnetwork          = google_compute_subnetwork.oavc.id
  deletion_protection = var.deletion_protection

  # Pools of our own, below.
  remove_default_node_pool = true
  initial_node_count       = 1

  # Network policies are part of it.
  datapath_provider = "ADVANCED_DATAPATH"

  release_channel {
    channel = "REGULAR"
  }
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }
  gateway_api_config {
    channel = "CHANNEL_STANDARD"
  }
  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
  private_cluster_config {
    enable_private_nodes    = length(var.sip_sources) == 0
    enable_private_endpoint = false
    master_ipv4_cidr_block  = "172.16.0.0/28"
  }
  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.operators
      content {
        display_name = cidr_blocks.value.name
        cidr_block   = cidr_blocks.value.cidr
      }
    }
  }
  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = true
    }
  }
  # Nights of the region: an upgrade drains calls, ten minutes a node.
  maintenance_policy {
    recurring_window {
      start_time = "2026-01-01T01:00:00Z"
      end_time   = "2026-01-01T05:00:00Z"
      recurrence = "FREQ=WEEKLY;BYDAY=TU,WE,TH,SA"
    }
  }
}

resource "google_service_account" "nodes" {
  account_id   = "oavc-nodes"
  display_name = "Nodes of the cluster oavc"
  depends_on   = [google_project_service.needed]
}

resource "google_project_iam_member" "nodes" {
  for_each = toset([
    "roles/artifactregistry.reader",
    "roles/logging.logWriter",
    "roles/monitoring.metricWriter",
    "roles/monitoring.viewer",
  ])
  project = var.project
  role    = each.value
  member  = google_service_account.nodes.member
}

resource "google_container_node_pool" "calls" {
  name     = "calls"
  cluster  = google_container_cluster.oavc.id
  location = var.region

  autoscaling {
    min_node_count = var.nodes.min
    max_node_count = var.nodes.max
  }
  # A new node first.
  upgrade_settings {
    max_surge       = 1
    max_unavailable = 0
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  node_config {
    machine_type    = var.machine_type
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    tags            = ["oavc-calls"]
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }
}

resource "google_container_node_pool" "gpu" {
  count    = var.gpu ? 1 : 0
  name     = "gpu"
  cluster  = google_container_cluster.oavc.id
  location = var.region

  autoscaling {
    min_node_count = 0
    max_node_count = 2
  }
  node_config {
    machine_type    = "g2-standard-8"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    guest_accelerator {
      type  = "nvidia-l4"
      count = 1
      gpu_driver_installation_config {
        gpu_driver_version = "DEFAULT"
      }
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}
