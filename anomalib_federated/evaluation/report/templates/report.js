"use strict";
// Filters of the gallery and the viewer. Without this script all examples are shown and the filters are hidden.
(() => {
  const form = document.getElementById("filters");
  const cards = [...document.querySelectorAll(".card")];
  const boxes = [...form.querySelectorAll("[name=verdict]")];
  const viewer = document.getElementById("viewer");
  const nothing = document.getElementById("nothing");
  let current = null;

  // Links to sections use the hash too; only one with "=" is a state of the filters.
  function readHash() {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return false;
    const state = new URLSearchParams(hash);
    for (const name of ["category", "method"]) {
      const wanted = state.get(name) ?? "";
      const select = form.elements[name];
      select.value = [...select.options].some((option) => option.value === wanted) ? wanted : "";
    }
    const verdicts = state.has("verdict") ? state.get("verdict").split(",") : boxes.map((box) => box.value);
    for (const box of boxes) box.checked = verdicts.includes(box.value);
    return true;
  }

  function writeHash() {
    const state = new URLSearchParams();
    for (const name of ["category", "method"]) {
      if (form.elements[name].value) state.set(name, form.elements[name].value);
    }
    state.set("verdict", boxes.filter((box) => box.checked).map((box) => box.value).join(","));
    history.replaceState(null, "", "#" + state);
  }

  function show() {
    const { category, method } = form.elements;
    const chosen = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const counts = Object.fromEntries(boxes.map((box) => [box.value, 0]));
    let shown = 0;
    for (const card of cards) {
      const { dataset } = card;
      const fits =
        (!category.value || dataset.category === category.value) && (!method.value || dataset.method === method.value);
      if (fits) counts[dataset.verdict] += 1;
      card.hidden = !(fits && chosen.has(dataset.verdict));
      if (!card.hidden) shown += 1;
    }
    for (const [verdict, count] of Object.entries(counts)) {
      form.querySelector(`[data-count="${verdict}"]`).textContent = count;
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = !group.querySelector(".card:not([hidden])");
    }
    nothing.hidden = shown > 0;
    document.getElementById("counts").textContent = `${shown} of ${cards.length} examples shown`;
  }

  function open(card) {
    current = card;
    const title = viewer.querySelector("h3");
    title.textContent = `${card.dataset.category}: ${card.querySelector(".name span").textContent}`;
    const body = viewer.querySelector(".body");
    body.replaceChildren(...[...card.children].map((child) => child.cloneNode(true)));
    for (const button of body.querySelectorAll("button")) button.remove();
    if (viewer.open) return;
    viewer.showModal();
    viewer.querySelector("[data-close]").focus();
  }

  function step(by) {
    const visible = cards.filter((card) => !card.hidden);
    open(visible[(visible.indexOf(current) + by + visible.length) % visible.length]);
  }

  form.addEventListener("input", () => {
    show();
    writeHash();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("reset").addEventListener("click", () => {
    form.reset();
    show();
    writeHash();
    form.elements.category.focus();
  });
  window.addEventListener("hashchange", () => readHash() && show());
  for (const card of cards) {
    const button = card.querySelector(".enlarge");
    button.disabled = false;
    button.addEventListener("click", () => open(card));
    card.querySelector(".panels").addEventListener("click", () => open(card));
  }
  viewer.addEventListener("click", (event) => {
    // A click on the dialog itself, not on what it holds, is one beside it.
    if (event.target === viewer || event.target.closest("[data-close]")) viewer.close();
    const button = event.target.closest("[data-step]");
    if (button) step(Number(button.dataset.step));
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("close", () => current.querySelector(".enlarge").focus());

  form.hidden = false;
  document.documentElement.classList.add("scripted");
  readHash();
  show();
})();
