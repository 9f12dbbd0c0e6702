output "address" {
  description = "A record of the host."
  value       = google_compute_global_address.oavc.address
}

output "certificate_record" {
  description = "DNS record that proves that the host is yours."
  value       = google_certificate_manager_dns_authorization.oavc.dns_resource_record
}

output "registry" {
  description = "Where images are pushed."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.oavc.repository_id}"
}

output "credentials" {
  description = "Gives kubectl the cluster."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.oavc.name} --region ${var.region} --project ${var.project}"
}
