# A network of its own: pods have addresses in it, nodes have no public ones but where SIP needs them.

resource "google_compute_network" "oavc" {
  name                    = "oavc"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.needed]
}

resource "google_compute_subnetwork" "oavc" {
  name                     = "oavc"
  network                  = google_compute_network.oavc.id
  region                   = var.region
  ip_cidr_range            = "10.10.0.0/20"
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = "10.20.0.0/16"
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = "10.30.0.0/20"
  }
}

# Out to Twilio's REST interface and hosted services.
resource "google_compute_router" "oavc" {
  name    = "oavc"
  network = google_compute_network.oavc.id
  region  = var.region
}

resource "google_compute_router_nat" "oavc" {
  name                               = "oavc"
  router                             = google_compute_router.oavc.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# Calls by SIP: signalling from those that are named, audio from anywhere, as callers may be anywhere.
resource "google_compute_firewall" "sip" {
  count         = length(var.sip_sources) > 0 ? 1 : 0
  name          = "oavc-sip"
  network       = google_compute_network.oavc.id
  direction     = "INGRESS"
  source_ranges = var.sip_sources
  target_tags   = ["oavc-calls"]

  allow {
    protocol = "udp"
    ports    = ["5060"]
  }
  allow {
    protocol = "tcp"
    ports    = ["5060"]
  }
}

resource "google_compute_firewall" "rtp" {
  count         = length(var.sip_sources) > 0 ? 1 : 0
  name          = "oavc-rtp"
  network       = google_compute_network.oavc.id
  direction     = "INGRESS"
  source_ranges = ["0.0.0.0/0"]
  target_tags   = ["oavc-calls"]

  allow {
    protocol = "udp"
    ports    = ["35000-35500"]
  }
}
