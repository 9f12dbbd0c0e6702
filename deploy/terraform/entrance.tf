# What deploy/k8s/components/gateway names: address, TLS policy, certificate.

resource "google_compute_global_address" "oavc" {
  name       = "oavc"
  depends_on = [google_project_service.needed]
}

resource "google_compute_ssl_policy" "oavc" {
  name            = "oavc"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.needed]
}

resource "google_certificate_manager_dns_authorization" "oavc" {
  name       = "oavc"
  domain     = var.host
  depends_on = [google_project_service.needed]
}

resource "google_certificate_manager_certificate" "oavc" {
  name = "oavc"
  managed {
    domains            = [var.host]
    dns_authorizations = [google_certificate_manager_dns_authorization.oavc.id]
  }
}

resource "google_certificate_manager_certificate_map" "oavc" {
  name       = "oavc"
  depends_on = [google_project_service.needed]
}

resource "google_certificate_manager_certificate_map_entry" "oavc" {
  name         = "oavc"
  map          = google_certificate_manager_certificate_map.oavc.name
  certificates = [google_certificate_manager_certificate.oavc.id]
  hostname     = var.host
}
