// Requests to the server. A token, where one is needed, is asked for once and kept until the tab is closed.

import { ask } from "./dialog.js";
import { t } from "./words.js";

const KEY = "longctx-token";

export class Refused extends Error {}

function headers(more = {}) {
  const token = sessionStorage.getItem(KEY);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function askForToken() {
  const token = await ask(t("token"), "", "password");
  if (!token) throw new Refused(t("token"));
  sessionStorage.setItem(KEY, token);
}

async function refusal(response) {
  try {
    return new Refused((await response.json()).error.message);
  } catch {
    return new Refused(`${response.status} ${response.statusText}`);
  }
}

export async function request(path, { method = "GET", body, signal } = {}) {
  const given = body === undefined ? {} : { body: JSON.stringify(body) };
  for (;;) {
    const response = await fetch(`/api/v1${path}`, {
      method, signal, ...given, headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
    });
    if (response.status === 401) {
      await askForToken();
      continue;
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

export async function json(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

export async function blob(path) {
  return URL.createObjectURL(await (await request(path)).blob());
}

// Server-sent events of a request, one by one.
export async function* events(path, options) {
  const response = await request(path, options);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = { name: "message", data: "" };
      for (const line of part.split("\n")) {
        if (line.startsWith("event: ")) event.name = line.slice(7);
        if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      if (event.data) yield { name: event.name, data: JSON.parse(event.data) };
    }
  }
}

// XMLHttpRequest, since fetch does not say how much of an upload has been sent.
export function upload(path, files, onProgress) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", `/api/v1${path}`);
    for (const [name, value] of Object.entries(headers())) sending.setRequestHeader(name, value);
    sending.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    sending.onerror = () => reject(new Refused(t("gone")));
    sending.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(sending.responseText);
      } catch { /* not from this server */ }
      if (sending.status === 202) resolve(answer);
      else reject(new Refused(answer.error?.message ?? `${sending.status}`));
    };
    sending.send(form);
  });
}
