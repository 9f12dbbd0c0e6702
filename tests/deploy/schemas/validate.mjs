// Checks Kubernetes objects, strictly: wrong types and missing fields as the schemas have them, and keys
// that no schema knows, which the API server would drop without a word.
//
//   node validate.mjs MODULES < objects.json > problems.json
//
// In: an array of objects. Out: {"problems": ["Deployment oavc: /spec/replicaz: unknown key", …],
// "no_schema": ["monitoring.googleapis.com/v1 PodMonitoring", …]}.
//
// The schemas are compiled validators without a list of keys. A validator looks at every key that it
// knows, so it is given the object behind a proxy: what it never looked at, it does not know.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.argv[2];

// API groups by the package that has them; anything else is Kubernetes' own.
const packages = {
  "cert-manager.io": "@kubernetes-models/cert-manager",
  "external-secrets.io": "@kubernetes-models/external-secrets",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "networking.gke.io": "@kubernetes-models/gke",
  "serving.knative.dev": "@kubernetes-models/knative",
};

async function model_of({ apiVersion, kind }) {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  const folder = join(modules, packages[group] ?? "kubernetes-models", apiVersion);
  for (const extension of [".mjs", ".js"]) {
    const file = join(folder, kind + extension);
    if (existsSync(file)) return (await import(pathToFileURL(file)))[kind];
  }
  return undefined;
}

// A view of `value` that notes at which paths it was looked at.
function watched(value, path, seen) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol") return target[key];
      seen.add(`${path}/${key}`);
      return watched(target[key], `${path}/${key}`, seen);
    },
  });
}

function* unknown_keys(value, path, seen) {
  if (value === null || typeof value !== "object") return;
  for (const key of Object.keys(value)) {
    const here = `${path}/${key}`;
    if (!seen.has(here)) yield here;
    else yield* unknown_keys(value[key], here, seen);
  }
}

const problems = [];
const no_schema = new Set();
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const name = `${object.kind} ${object.metadata?.name}`;
  const model = await model_of(object);
  if (!model) {
    no_schema.add(`${object.apiVersion} ${object.kind}`);
    continue;
  }
  const seen = new Set();
  try {
    model.prototype.validate.call(
      watched(Object.assign(Object.create(model.prototype), object), "", seen),
    );
  } catch (error) {
    problems.push(`${name}: ${error.message}`);
  }
  for (const path of unknown_keys(object, "", seen)) problems.push(`${name}: ${path}: unknown key`);
}
console.log(JSON.stringify({ problems, no_schema: [...no_schema].sort() }));
