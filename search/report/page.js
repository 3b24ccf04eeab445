"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const CONFIG = {
    displaylogo: false, responsive: true, showSendToCloud: false, showEditInChartStudio: false,
    plotlyServerURL: "", showLink: false, topojsonURL: "", locale: "en-US", scrollZoom: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    toImageButtonOptions: { format: "svg" },
  };
  const touch = matchMedia("(hover: none), (max-width: 40rem)");  // no tool bar, and a finger scrolls the page
  const PAPER_WIDTH = { wide: 660, slice: 310 };  // pixels of a printed page, and of half of it
  let printing = false;

  // --- pictures: colors are names such as "@depth-2", which the style sheet gives a value -------

  function colored(value, style) {
    if (typeof value === "string") {
      return /^@[a-z]+(-\d)?$/.test(value) ? style.getPropertyValue("--" + value.slice(1)).trim() || value : value;
    }
    if (Array.isArray(value)) {
      return value.map((each) => (typeof each === "number" ? each : colored(each, style)));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, colored(each, style)]));
    }
    return value;
  }

  function hasWebgl() {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  }
  const webgl = hasWebgl();
  const narrow = matchMedia("(max-width: 40rem)");  // no room for the words on parallel axes

  function draw(plot) {
    const place = document.getElementById(plot.id);
    const simple = plot.fallback && (!webgl || printing || narrow.matches);
    const { data: traces, layout } = colored(simple ? plot.fallback : plot, getComputedStyle(document.documentElement));
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.autosize = !printing;
    if (printing) {
      layout.width = place.closest(".slices") ? PAPER_WIDTH.slice : PAPER_WIDTH.wide;
    }
    if (place.classList.contains("js-plotly-plot") && place.dataset.simple !== String(Boolean(simple))) {
      Plotly.purge(place);
    }
    place.dataset.simple = String(Boolean(simple));
    place.dataset.drawn = "true";
    const still = touch.matches && !printing;
    if (still) {
      layout.dragmode = false;
      layout.xaxis.fixedrange = true;
      layout.yaxis.fixedrange = true;
    }
    return Plotly.react(place, traces, layout, { ...CONFIG, displayModeBar: still ? false : "hover" });
  }

  function drawAll() {
    data.plots.forEach(draw);
  }

  // One picture at a time, so that the page answers meanwhile; those that need WebGL, which may be
  // slow in software, come last.
  function drawOneByOne() {
    const waiting = data.plots.slice().sort((one, other) => Boolean(one.fallback) - Boolean(other.fallback));
    const step = () => {
      const next = waiting.shift();
      if (!next) {
        document.documentElement.dataset.ready = "true";
        return;
      }
      if (!document.getElementById(next.id).dataset.drawn) {
        draw(next);
      }
      setTimeout(step);
    };
    requestAnimationFrame(() => setTimeout(step));
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  touch.addEventListener("change", drawAll);

  // --- the leaderboard ---------------------------------------------------------------------------

  const table = document.getElementById("trials");
  const more = document.getElementById("all");
  let order = data.trials.rows;
  let isWhole = !more;

  function fill() {
    const body = document.createElement("tbody");
    for (const cells of isWhole ? order : order.slice(0, data.top)) {
      const row = body.insertRow();
      cells.forEach(([text], column) => {
        const cell = row.insertCell();
        cell.textContent = text;
        cell.className = data.trials.numeric[column] ? "number" : "";
      });
    }
    table.replaceChild(body, table.tBodies[0]);
  }

  function compare(one, other) {
    return typeof one === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
  }

  function sortBy(column, header) {
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const each of header.parentNode.children) {
      each.removeAttribute("aria-sort");
    }
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    order = data.trials.rows.slice().sort((left, right) => {
      const [one, other] = [left[column][1], right[column][1]];
      if (one === null || other === null) {
        return (one === null) - (other === null);  // what is unknown comes last, whatever the order
      }
      return down ? compare(other, one) : compare(one, other);
    });
    fill();
  }

  if (table) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      header.firstElementChild.addEventListener("click", () => sortBy(column, header));
    });
  }

  function showAll(whole) {
    isWhole = whole;
    more.setAttribute("aria-expanded", String(whole));
    more.textContent = whole ? `Show the first ${data.top} trials` : `Show all ${order.length} trials`;
    fill();
  }
  if (more) {
    more.addEventListener("click", () => showAll(!isWhole));
  }

  // --- on paper: everything open, light, as wide as the sheet --------------------------------------

  let before = null;

  function toPaper() {
    if (printing) {
      return;
    }
    printing = true;
    before = { whole: isWhole, closed: [...document.querySelectorAll("details:not([open])")] };
    before.closed.forEach((each) => { each.open = true; });
    if (more && !isWhole) {
      showAll(true);
    }
    drawAll();
  }

  function toScreen() {
    if (!printing) {
      return;
    }
    printing = false;
    before.closed.forEach((each) => { each.open = false; });
    if (more && !before.whole) {
      showAll(false);
    }
    drawAll();
  }

  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
  matchMedia("print").addEventListener("change", (event) => (event.matches ? toPaper() : toScreen()));

  drawOneByOne();
})();
