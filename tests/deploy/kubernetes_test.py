"""deploy/k8s: every overlay renders, every object is what its schema says with no key unknown, and the
numbers are the blueprint's."""
import collections
import functools
import re
import unittest

from support import ROOT, documents, main, need, run, schema_problems

need("kubectl", "node")

OVERLAYS = ["dev", "gke", "gke-sip", "canary", "blue-green"]
# Of Google's Managed Service for Prometheus: no package carries its schema.
WITHOUT_SCHEMA = ["monitoring.googleapis.com/v1 PodMonitoring"]


@functools.cache
def rendered(overlay):
    return documents(run("kubectl", "kustomize", ROOT / "deploy/k8s/overlays" / overlay))


def find(overlay, kind, name):
    found = [o for o in rendered(overlay) if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    if len(found) != 1:
        raise AssertionError(f"{overlay}: {len(found)} objects {kind} {name}")
    return found[0]


def pod_templates(overlay):
    for o in rendered(overlay):
        if o["kind"] in ("Deployment", "StatefulSet"):
            yield o["metadata"]["name"], o["spec"]["template"]


def containers(template):
    return template["spec"].get("initContainers", []) + template["spec"]["containers"]


class Schemas(unittest.TestCase):
    def test_every_object_is_what_its_schema_says(self):
        for overlay in OVERLAYS:
            problems, no_schema = schema_problems(rendered(overlay))
            self.assertEqual(problems, [], overlay)
            self.assertLessEqual(set(no_schema), set(WITHOUT_SCHEMA), overlay)

    def test_a_misspelt_key_is_found(self):
        object = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"porst": []}}
        self.assertEqual(schema_problems([object])[0], ["Service x: /spec/porst: unknown key"])


class Blueprint(unittest.TestCase):
    """The numbers of mission and requirements S98 to S107."""

    def test_the_connector_has_three_to_ten_replicas_at_70_and_80_percent(self):
        for overlay, name in (("gke", "oavc"), ("gke-sip", "oavc"), ("blue-green", "oavc-blue"), ("blue-green", "oavc-green")):
            scaler = find(overlay, "HorizontalPodAutoscaler", name)["spec"]
            self.assertEqual((scaler["minReplicas"], scaler["maxReplicas"]), (3, 10))
            self.assertEqual(scaler["scaleTargetRef"]["name"], name)
            by_resource = {
                m["resource"]["name"]: m["resource"]["target"]["averageUtilization"]
                for m in scaler["metrics"]
                if m["type"] == "Resource"
            }
            self.assertEqual(by_resource, {"cpu": 70, "memory": 80})
            pods = [m["pods"]["metric"]["name"] for m in scaler["metrics"] if m["type"] == "Pods"]
            self.assertEqual(pods, ["prometheus.googleapis.com|oavc_calls_capacity_ratio|gauge"])
            self.assertEqual(find(overlay, "Deployment", name)["spec"]["replicas"], 3)

    def test_the_connectors_requests_and_limits(self):
        for overlay in ("gke", "gke-sip"):
            [container] = find(overlay, "Deployment", "oavc")["spec"]["template"]["spec"]["containers"]
            self.assertEqual(
                container["resources"],
                {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2000m", "memory": "2Gi"}},
            )

    def test_model_servers_have_two_to_five_replicas_with_volumes(self):
        for name in ("ollama", "whisper"):
            scaler = find("gke", "HorizontalPodAutoscaler", name)["spec"]
            self.assertEqual((scaler["minReplicas"], scaler["maxReplicas"]), (2, 5))
            workload = find("gke", "StatefulSet", name)["spec"]
            self.assertEqual(len(workload["volumeClaimTemplates"]), 1)
            claim = workload["volumeClaimTemplates"][0]["metadata"]["name"]
            [container] = workload["template"]["spec"]["containers"]
            self.assertIn(claim, [m["name"] for m in container["volumeMounts"]])


class Pods(unittest.TestCase):
    def test_run_as_nobody_special_with_a_read_only_root(self):
        for overlay in OVERLAYS:
            for name, template in pod_templates(overlay):
                self.assertTrue(template["spec"]["securityContext"]["runAsNonRoot"], name)
                self.assertFalse(template["spec"]["automountServiceAccountToken"], name)
                for container in containers(template):
                    context = container["securityContext"]
                    self.assertTrue(context["readOnlyRootFilesystem"], container["name"])
                    self.assertFalse(context["allowPrivilegeEscalation"], container["name"])
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]}, container["name"])

    def test_have_requests_limits_and_all_probes(self):
        for overlay in OVERLAYS:
            for name, template in pod_templates(overlay):
                for container in containers(template):
                    self.assertEqual(set(container["resources"]), {"requests", "limits"})
                for container in template["spec"]["containers"]:
                    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                        handlers = set(container[probe]) & {"httpGet", "exec", "tcpSocket", "grpc"}
                        self.assertEqual(len(handlers), 1, f"{overlay} {name} {probe}")

    def test_volumes_and_ports_that_are_named_are_there(self):
        for overlay in OVERLAYS:
            for name, template in pod_templates(overlay):
                workload = [o for o in rendered(overlay) if o["metadata"]["name"] == name and "template" in o.get("spec", {})]
                there = {v["name"] for v in template["spec"].get("volumes", [])}
                for o in workload:
                    there |= {c["metadata"]["name"] for c in o["spec"].get("volumeClaimTemplates", [])}
                for container in containers(template):
                    for mount in container.get("volumeMounts", []):
                        self.assertIn(mount["name"], there, f"{overlay} {name}")
                names = [p["name"] for c in containers(template) for p in c.get("ports", [])]
                self.assertEqual(len(names), len(set(names)), f"{overlay} {name}")

    def test_finish_their_calls_before_they_are_killed(self):
        """Grace covers preStop, drain_deadline of gke.ini and the ten seconds of a goodbye."""
        config = (ROOT / "config/gke.ini").read_text()
        minutes = int(re.search(r"^drain_deadline = (\d+)min$", config, re.M).group(1))
        spec = find("gke", "Deployment", "oavc")["spec"]["template"]["spec"]
        before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        self.assertGreaterEqual(spec["terminationGracePeriodSeconds"], before + 60 * minutes + 10)

    def test_are_never_fewer_during_an_upgrade(self):
        self.assertEqual(
            find("gke", "Deployment", "oavc")["spec"]["strategy"]["rollingUpdate"], {"maxSurge": 1, "maxUnavailable": 0}
        )
        # Ports of a node are there once.
        self.assertEqual(
            find("gke-sip", "Deployment", "oavc")["spec"]["strategy"]["rollingUpdate"],
            {"maxSurge": 0, "maxUnavailable": 1},
        )

    def test_get_the_configuration_and_the_secret_that_exist(self):
        for overlay in OVERLAYS:
            maps = {o["metadata"]["name"] for o in rendered(overlay) if o["kind"] == "ConfigMap"}
            secrets = {o["metadata"]["name"] for o in rendered(overlay) if o["kind"] == "Secret"}
            secrets |= {o["spec"]["target"]["name"] for o in rendered(overlay) if o["kind"] == "ExternalSecret"}
            secrets |= {o["spec"]["secretName"] for o in rendered(overlay) if o["kind"] == "Certificate"}
            for _, template in pod_templates(overlay):
                for volume in template["spec"].get("volumes", []):
                    if "configMap" in volume:
                        self.assertIn(volume["configMap"]["name"], maps)
                    if "secret" in volume:
                        self.assertIn(volume["secret"]["secretName"], secrets)
                for source in (s for c in containers(template) for s in c.get("envFrom", [])):
                    if "configMapRef" in source:
                        self.assertIn(source["configMapRef"]["name"], maps)
                    if "secretRef" in source:
                        self.assertIn(source["secretRef"]["name"], secrets)

    def test_carry_the_configuration_that_is_tested(self):
        [data] = [
            o["data"]["oavc.ini"]
            for o in rendered("gke")
            if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith("oavc-config")
        ]
        self.assertEqual(data, (ROOT / "config/gke.ini").read_text())


class Network(unittest.TestCase):
    def test_services_and_budgets_select_the_pods_of_their_track_only(self):
        for overlay in OVERLAYS:
            labels = {name: template["metadata"]["labels"] for name, template in pod_templates(overlay)}
            for o in rendered(overlay):
                selector = {
                    "Service": lambda s: s["selector"],
                    "PodDisruptionBudget": lambda s: s["selector"]["matchLabels"],
                    "NetworkPolicy": lambda s: s["podSelector"]["matchLabels"],
                    "PodMonitoring": lambda s: s["selector"]["matchLabels"],
                }.get(o["kind"])
                if selector is None:
                    continue
                chosen = [n for n, have in labels.items() if selector(o["spec"]).items() <= have.items()]
                self.assertEqual(len(chosen), 1, f"{overlay} {o['kind']} {o['metadata']['name']}: {chosen}")

    def test_service_ports_lead_to_ports_of_the_pods(self):
        for overlay in OVERLAYS:
            for service in (o for o in rendered(overlay) if o["kind"] == "Service"):
                ports = [
                    p
                    for _, template in pod_templates(overlay)
                    if service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
                    for c in containers(template)
                    for p in c.get("ports", [])
                ]
                for port in service["spec"]["ports"]:
                    matching = [
                        p for p in ports
                        if port["targetPort"] in (p["name"], p["containerPort"]) and p["protocol"] == port["protocol"]
                    ]
                    self.assertEqual(len(matching), 1, f"{overlay} {service['metadata']['name']} {port}")

    def test_every_workload_has_a_policy_that_lets_the_connector_reach_the_models(self):
        for overlay in ("gke", "gke-sip", "canary", "blue-green"):
            policies = [o for o in rendered(overlay) if o["kind"] == "NetworkPolicy"]
            for name, template in pod_templates(overlay):
                labels = template["metadata"]["labels"]
                mine = [p for p in policies if p["spec"]["podSelector"]["matchLabels"].items() <= labels.items()]
                self.assertEqual(len(mine), 1, f"{overlay} {name}")
            for policy in policies:
                # Each pod that a rule names is there.
                named = [
                    peer["podSelector"]["matchLabels"].items()
                    for rule in policy["spec"]["ingress"] + policy["spec"]["egress"]
                    for peer in rule.get("from", []) + rule.get("to", [])
                    if "podSelector" in peer
                ]
                for labels in named:
                    there = [n for n, t in pod_templates(overlay) if labels <= t["metadata"]["labels"].items()]
                    self.assertNotEqual(there, [], f"{overlay} {policy['metadata']['name']} {labels}")
                if policy["metadata"]["name"] in ("ollama", "whisper"):
                    for name, template in pod_templates(overlay):
                        if name.startswith("oavc"):
                            self.assertTrue(any(l <= template["metadata"]["labels"].items() for l in named), name)

    def test_model_servers_are_reached_by_mutual_tls_only(self):
        connector = {c["name"]: c for c in containers(find("gke", "Deployment", "oavc")["spec"]["template"])}
        for name, tls in (("ollama", 11443), ("whisper", 10443)):
            [port] = find("gke", "Service", name)["spec"]["ports"]
            self.assertEqual(port["port"], tls)
            server = containers(find("gke", "StatefulSet", name)["spec"]["template"])[0]["args"]
            self.assertIn(f"--listen=0.0.0.0:{tls}", server)
            self.assertIn("--allow-dns=oavc", server)
        environment = [o for o in rendered("gke") if o["metadata"]["name"].startswith("oavc-environment")][0]["data"]
        # The connector speaks TLS itself.
        self.assertEqual([name for name in connector if name.endswith("-tunnel")], [])
        self.assertEqual(environment["WHISPER_URL"], "tls://whisper:10443")
        self.assertEqual(environment["OLLAMA_URL"], "https://ollama:11443")
        self.assertIn({"name": "tls", "mountPath": "/tls", "readOnly": True}, connector["oavc"]["volumeMounts"])
        for key, file in (("CA", "ca.crt"), ("CERTIFICATE", "tls.crt"), ("KEY", "tls.key")):
            self.assertEqual(environment[f"OAVC_LLM_OLLAMA_{key}_FILE"], f"/tls/{file}")
            self.assertEqual(environment[f"OAVC_STT_WYOMING_{key}_FILE"], f"/tls/{file}")

    def test_web_sockets_last_as_long_as_calls(self):
        """At least [limits] max_call_duration, whose default is an hour."""
        policies = [o for o in rendered("gke") if o["kind"] == "GCPBackendPolicy"]
        self.assertEqual([p["spec"]["default"]["timeoutSec"] for p in policies], [7200])
        annotations = find("dev", "Ingress", "oavc")["metadata"]["annotations"]
        self.assertEqual(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"], "7200")
        self.assertEqual(annotations["nginx.ingress.kubernetes.io/proxy-send-timeout"], "7200")

    def test_calls_by_sip_get_rtp_from_the_nodes_own_address(self):
        spec = find("gke-sip", "Deployment", "oavc")["spec"]["template"]["spec"]
        self.assertTrue(spec["hostNetwork"])
        environment = {e["name"]: e for e in spec["containers"][0]["env"]}
        self.assertEqual(environment["RTP_HOST_IP"]["valueFrom"]["fieldRef"]["fieldPath"], "status.hostIP")
        self.assertEqual(find("gke-sip", "Namespace", "oavc")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "privileged")


class Rollouts(unittest.TestCase):
    def route(self, overlay):
        return {b["name"]: b.get("weight") for b in find(overlay, "HTTPRoute", "oavc")["spec"]["rules"][0]["backendRefs"]}

    def test_routes_lead_to_services_and_to_nothing_private(self):
        for overlay in ("gke", "gke-sip", "canary", "blue-green"):
            for name in self.route(overlay):
                find(overlay, "Service", name)
            paths = [m["path"]["value"] for m in find(overlay, "HTTPRoute", "oavc")["spec"]["rules"][0]["matches"]]
            self.assertEqual(sorted(paths), ["/", "/api", "/twilio", "/ws"])

    def test_a_canary_gets_a_tenth_and_can_be_deleted_by_its_label(self):
        self.assertEqual(self.route("canary"), {"oavc": 90, "oavc-canary": 10})
        stable = {(o["kind"], o["metadata"]["name"]) for o in rendered("gke")}
        added = [o for o in rendered("canary") if (o["kind"], o["metadata"]["name"]) not in stable]
        self.assertGreater(len(added), 5)
        for o in added:
            self.assertEqual(o["metadata"]["labels"]["track"], "canary", o["metadata"]["name"])

    def test_blue_or_green_gets_everything(self):
        self.assertEqual(sorted(self.route("blue-green").values()), [0, 100])

    def test_policies_of_the_load_balancer_follow_their_service(self):
        for overlay in ("gke", "canary", "blue-green"):
            targets = collections.Counter(
                o["spec"]["targetRef"]["name"] for o in rendered(overlay) if o["kind"] == "GCPBackendPolicy"
            )
            self.assertEqual(dict(targets), {name: 1 for name in self.route(overlay)})


if __name__ == "__main__":
    main()
