// Small questions to the user, and messages.

export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "on") for (const [event, call] of Object.entries(value)) made.addEventListener(event, call);
    else if (name === "class") made.className = value;
    else if (name === "label") made.setAttribute("aria-label", value), (made.title = value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);

export function ask(title, value, type = "text") {
  const dialog = byId("prompt");
  const input = byId("prompt-value");
  byId("prompt-title").textContent = title;
  input.type = type;
  input.value = value;
  dialog.returnValue = "cancel";
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? input.value.trim() : null), { once: true });
  });
}

// Enter in the field is the button OK, and not the first one, which is Cancel.
byId("prompt-value").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.isComposing) {
    event.preventDefault();
    byId("prompt").close("ok");
  }
});

let timer;

export function tell(message) {
  const box = byId("message");
  box.textContent = message;
  box.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (box.hidden = true), 8000);
}
