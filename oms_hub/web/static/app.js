// Progressive enhancement, nothing more: without it every link and form works as a whole page.
//   data-swap="#id"   a link or form whose answer replaces only that part of the page
//   data-poll="#id"   a part that is asked for again every few seconds, as long as it says so
//   data-confirm      asks before a form is sent
"use strict";
(() => {
  const live = document.querySelector("#live");
  let latest = 0;
  let hasSwapped = false;

  async function swap(selector, url, options = {}) {
    const target = document.querySelector(selector);
    if (!target) return false;
    const mine = ++latest;
    target.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, {
        credentials: "same-origin", redirect: "follow", headers: { "x-fragment": selector.slice(1) }, ...options,
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const part = page.querySelector(selector);
      if (!part) { window.location.assign(answer.url || url); return true; }
      if (mine !== latest) return true;
      target.replaceWith(document.adoptNode(part));
      const shown = new URL(answer.url || url, window.location.href);
      if (!options.isQuiet) { window.history.pushState({ selector }, "", shown); hasSwapped = true; }
      if (!options.isQuiet && live) live.textContent = part.dataset.announce || "";
      return true;
    } catch {
      return false;
    } finally {
      document.querySelector(selector)?.removeAttribute("aria-busy");
    }
  }

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-swap]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const name = link.dataset.focus;
    if (!(await swap(link.dataset.swap, link.href))) { window.location.assign(link.href); return; }
    if (name) document.querySelector(`[data-focus="${CSS.escape(name)}"]`)?.focus();
  });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) { event.preventDefault(); return; }
    for (const button of form.querySelectorAll("button[data-busy]")) {
      button.setAttribute("aria-disabled", "true");
      button.textContent = button.dataset.busy;
    }
    if (!form.dataset.swap || form.method !== "get") return;
    event.preventDefault();
    const query = new URLSearchParams([...new FormData(form, event.submitter)].filter(([, value]) => value !== ""));
    const url = `${form.action.split("?")[0]}?${query}`;
    if (!(await swap(form.dataset.swap, url))) window.location.assign(url);
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
  });

  // Going back to a table as it was asks for it anew; a jump within the page is not ours.
  window.addEventListener("popstate", () => { if (hasSwapped && !window.location.hash) window.location.reload(); });

  function poll() {
    const part = document.querySelector("[data-poll]");
    if (!part) return;
    window.setTimeout(async () => {
      if (document.visibilityState === "visible") await swap(part.dataset.poll, window.location.href, { isQuiet: true });
      poll();
    }, 1500);
  }
  poll();
})();
