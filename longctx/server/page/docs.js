// The routes of openapi.json, one below the other.

const api = await (await fetch("/openapi.json")).json();

function resolve(schema, depth = 0) {
  if (!schema || depth > 4) return "…";
  if (schema.$ref) return resolve(api.components.schemas[schema.$ref.split("/").pop()], depth);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map((each) => resolve(each, depth + 1)).find((each) => each !== "null") ?? "null";
  if (schema.type === "array") return [resolve(schema.items, depth + 1)];
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties).map(([name, each]) => [name, resolve(each, depth + 1)]));
  }
  return schema.enum ? schema.enum.join(" | ") : (schema.type ?? "any");
}

function add(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  document.getElementById("routes").append(made);
}

for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, route] of Object.entries(methods)) {
    add("h2", `${method.toUpperCase()} ${path}`);
    if (route.description) add("p", route.description);
    const queries = (route.parameters ?? []).filter((each) => each.in === "query").map((each) => each.name);
    if (queries.length) add("p", `Query: ${queries.join(", ")}`);
    for (const [kind, { schema }] of Object.entries(route.requestBody?.content ?? {})) add("pre", `${kind}\n${JSON.stringify(resolve(schema), null, 2)}`);
  }
}
