// The page: which index, which conversation, the question at hand.

import { Turn } from "./answer.js";
import { events, json } from "./api.js";
import { Conversations } from "./conversations.js";
import { ask, byId, tell } from "./dialog.js";
import { Documents } from "./documents.js";
import * as viewer from "./viewer.js";
import { t, translate } from "./words.js";

const documents = new Documents();
const conversations = new Conversations(showTurns);
let running = null; // what stops the answer at hand

function showTurns(turns) {
  byId("thread").replaceChildren();
  byId("welcome").hidden = turns.length > 0;
  for (const each of turns) new Turn(byId("index").value, each.question).finish(each.answer);
  toggleMenu(false);
}

function toggleMenu(open) {
  byId("side").classList.toggle("open", open);
  byId("menu").setAttribute("aria-expanded", String(open));
}

async function choose(index) {
  location.hash = encodeURIComponent(index);
  conversations.current = null;
  showTurns([]);
  await Promise.all([documents.load(index), conversations.load(index)]);
}

async function start() {
  translate();
  viewer.setUp();
  const [server, indexes] = [await json("/server"), await json("/indexes")];
  byId("model").textContent = server.model ?? t("noModel");
  byId("new-index").hidden = !server.can_create || server.role !== "write";
  byId("drop").hidden = server.role !== "write";
  byId("files").accept = server.suffixes.join(",");
  fill(indexes.map((each) => each.name), decodeURIComponent(location.hash.slice(1)));
  if (indexes.length) await choose(byId("index").value);
  byId("question").focus();
}

function fill(names, wanted) {
  byId("index").replaceChildren(...names.map((name) => new Option(name, name, false, name === wanted)));
}

async function answer(question) {
  const turn = new Turn(byId("index").value, question);
  running = new AbortController();
  busy(true);
  try {
    const body = { question, conversation: await conversations.nameFor(question) };
    const path = `/indexes/${encodeURIComponent(byId("index").value)}/ask`;
    for await (const event of events(path, { method: "POST", body, signal: running.signal })) turn.event(event);
    if (turn.text.classList.contains("working")) turn.fail(t("gone"));
  } catch (error) {
    turn.fail(error.name === "AbortError" ? t("stopped") : error instanceof TypeError ? t("gone") : error.message);
  } finally {
    running = null;
    busy(false);
  }
  await conversations.load(byId("index").value).catch((error) => tell(error.message));
}

function busy(is) {
  byId("send").hidden = is;
  byId("stop").hidden = !is;
  byId("index").disabled = is;
  if (is) byId("stop").focus();
  else byId("question").focus();
}

async function newIndex() {
  const name = await ask(t("indexName"), "");
  if (!name) return;
  await json("/indexes", { method: "POST", body: { name } });
  fill((await json("/indexes")).map((each) => each.name), name);
  await choose(name);
}

const safely = (call) => (...given) => Promise.resolve(call(...given)).catch((error) => tell(error.message));

byId("ask").addEventListener("submit", safely(async (event) => {
  event.preventDefault();
  await ready; // who is quick asks before the indexes are there
  const question = byId("question").value.trim();
  if (!question || running || !byId("index").value) return;
  byId("question").value = "";
  await answer(question);
}));
byId("question").addEventListener("keydown", (event) => {
  // Enter also ends the choice of kanji, and is no question then
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId("ask").requestSubmit();
  }
});
byId("stop").addEventListener("click", () => running?.abort());
byId("menu").addEventListener("click", () => toggleMenu(!byId("side").classList.contains("open")));
byId("index").addEventListener("change", safely(() => choose(byId("index").value)));
byId("new-index").addEventListener("click", safely(newIndex));
byId("new-chat").addEventListener("click", safely(async () => {
  conversations.current = null;
  showTurns([]);
  await conversations.load(byId("index").value);
  byId("question").focus();
}));
const ready = safely(start)();
