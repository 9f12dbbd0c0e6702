# Interfaces of Google's that are used, images, secrets, and who may read them.

resource "google_project_service" "needed" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "certificatemanager.googleapis.com",
    "cloudbuild.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "ondemandscanning.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
  ])
  service            = each.value
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "oavc" {
  repository_id = "oavc"
  location      = var.region
  format        = "DOCKER"
  docker_config {
    # A version is what it was when it was tried.
    immutable_tags = true
  }
  depends_on = [google_project_service.needed]
}

# Models that take long to fetch, where you want them nearer than their registries.
resource "google_storage_bucket" "models" {
  name                        = "${var.project}-oavc-models"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

locals {
  secrets = toset(["oavc-twilio-account-sid", "oavc-twilio-auth-token", "oavc-api-token"])
}

# Their values are no business of Terraform's state:
#   gcloud secrets versions add oavc-api-token --data-file=-
resource "google_secret_manager_secret" "oavc" {
  for_each  = local.secrets
  secret_id = each.value
  replication {
    auto {}
  }
  depends_on = [google_project_service.needed]
}

# Reads the secrets for the cluster (deploy/k8s/components/external-secrets) …
resource "google_service_account" "secrets" {
  account_id   = "oavc-secrets"
  display_name = "Reads the secrets of oavc for the cluster"
  depends_on   = [google_project_service.needed]
}

resource "google_service_account_iam_member" "secrets" {
  service_account_id = google_service_account.secrets.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[oavc/oavc-secrets]"
  depends_on         = [google_container_cluster.oavc]
}

# … and is the service on Cloud Run (deploy/cloudrun).
resource "google_service_account" "run" {
  account_id   = "oavc-run"
  display_name = "oavc on Cloud Run"
  depends_on   = [google_project_service.needed]
}

resource "google_secret_manager_secret_iam_member" "cluster" {
  for_each  = google_secret_manager_secret.oavc
  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.secrets.member
}

resource "google_secret_manager_secret_iam_member" "run" {
  for_each  = google_secret_manager_secret.oavc
  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.run.member
}
