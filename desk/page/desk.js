// The live page: draws what the server says once a second. Everything is set as
// text or as numbers in paths; nothing the network sent is read as markup.
"use strict";

const svgNS = "http://www.w3.org/2000/svg";
const kept = 15 * 60;
// The axis is as long as there is something to show on it, with marks at these seconds ago.
const spans = [[60, [60, 40, 20]], [120, [120, 60]], [300, [300, 180, 60]], [kept, [900, 600, 300]]];
let [shown, marks] = spans[0];
const at = (id) => document.getElementById(id);
let tiers = [], acts = [], seconds = [], events = [];

// What is said here stands in the page, in its language.
const words = JSON.parse(at("words").textContent);
const language = document.documentElement.lang;
const fill = (text, v) => text.replace("{}", () => v); // a function: v is no pattern
const name = (word) => (words.names || {})[word] || word;
const said = (english, german) => language === "de" && german || english;
const point = (text) => language === "de" ? text.replace(".", ",") : text;

const count = (n) => point(n > 0 && n < 10 && !Number.isInteger(n) ? n.toFixed(1) : n.toFixed(0));
const share = (v) => v < 0 ? "–" : v >= 1 ? "100 %" : point(Math.min(v * 100, 99.9).toFixed(1)) + " %";
const ms = (v) => v < 0 ? "–" : count(v) + " ms";
const clock = (t) => new Date(t).toLocaleTimeString(language, { hour12: false });
const utc = (t) => new Date(t).toISOString().slice(11, 19) + " UTC";

function el(parent, name, attributes, text) {
	const e = document.createElementNS(svgNS, name);
	for (const k in attributes) e.setAttribute(k, attributes[k]);
	if (text !== undefined) e.textContent = text;
	parent.append(e);
	return e;
}

// path joins the points that are numbers; a gap stays a gap.
function path(values, x, y) {
	let d = "", pen = false;
	values.forEach((v, i) => {
		if (v === null) { pen = false; return; }
		d += (pen ? "L" : "M") + x(i).toFixed(1) + " " + y(v).toFixed(1);
		pen = true;
	});
	return d;
}

// thin takes at most n points: the mean of each span.
function thin(values, n) {
	const step = Math.ceil(values.length / n) || 1, out = [];
	for (let i = 0; i < values.length; i += step) {
		const span = values.slice(i, i + step).filter((v) => v !== null);
		out.push(span.length ? span.reduce((a, b) => a + b, 0) / span.length : null);
	}
	return out;
}

const ago = (s) => s < 120 ? fill(words.ago_s, s) : fill(words.ago_min, s / 60);
const lasting = (s) => s < 120 ? fill(words.last_s, s) : fill(words.last_min, s / 60);

function spark(cell, values, top, kind) {
	const w = 168, h = 28, step = Math.ceil(shown / w), points = thin(values.slice(-shown), Math.ceil(Math.min(values.length, shown) / step));
	const wide = w / (shown / step);
	const svg = document.createElementNS(svgNS, "svg");
	svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
	svg.setAttribute("aria-hidden", "true");
	const left = w - points.length * wide;
	el(svg, "path", { class: "axis", d: `M0 ${h - 1}H${w}` });
	el(svg, "path", { class: "line " + kind, d: path(points, (i) => left + (i + 1) * wide, (v) => h - 2 - (h - 5) * (top > 0 ? v / top : 0)) });
	cell.replaceChildren(svg);
}

// plot draws series over one time axis: 15 minutes, units on the axis, events as labelled rules.
function plot(svg, series, read) {
	const w = svg.clientWidth, h = 180, low = h - 22, left = 48, right = w - 8;
	if (w < 100) return;
	svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
	const now = seconds.length ? seconds[seconds.length - 1].at : Date.now();
	const x = (t) => right - (now - t) / 1000 / shown * (right - left);
	let top = 1;
	for (const s of series) for (const v of s.values) if (v > top) top = v;
	const y = (v) => low - (low - 22) * v / top;
	svg.replaceChildren();
	el(svg, "path", { class: "axis", d: `M${left} ${low}H${right}M${left} ${y(top)}H${right}` });
	el(svg, "text", { x: left - 6, y: y(top) + 4, "text-anchor": "end" }, count(top) + "/s");
	el(svg, "text", { x: left - 6, y: low + 4, "text-anchor": "end" }, "0");
	for (const s of w < 480 ? marks.slice(0, 1) : marks) el(svg, "text", { x: x(now - s * 1000), y: h - 6 }, ago(s));
	el(svg, "text", { x: right, y: h - 6, "text-anchor": "end" }, clock(now));
	let labelled = -Infinity;
	for (const e of events.filter((e) => /^pressure|^origin/.test(e.kind)).reverse()) {
		const t = Date.parse(e.at);
		if (now - t > shown * 1000) continue;
		el(svg, "path", { class: "event", d: `M${x(t)} 16V${low}` });
		const end = x(t) > right - 100, begin = end ? x(t) - 100 : x(t);
		if (begin - labelled > 100) {
			el(svg, "text", { x: x(t), y: 12, "text-anchor": end ? "end" : "start" }, words.marks[e.kind] || e.kind);
			labelled = begin;
		}
	}
	for (const s of series) el(svg, "path", { class: "line " + s.kind, d: path(s.values, (i) => x(seconds[i].at), y) });
	svg.onpointermove = (p) => {
		const t = now - (right - p.offsetX) / (right - left) * shown * 1000;
		let best = -1;
		seconds.forEach((s, i) => { if (best < 0 || Math.abs(s.at - t) < Math.abs(seconds[best].at - t)) best = i; });
		if (best < 0) return;
		read.textContent = `${clock(seconds[best].at)} ${words.local}, ${utc(seconds[best].at)}: ` +
			series.filter((s) => s.values[best] > 0).map((s) => `${s.name} ${s.values[best]}/s`).join(", ");
	};
	// A range that is drawn over the plot becomes the page's address.
	const when = (p) => Math.round(now - (right - p.offsetX) / (right - left) * shown * 1000);
	svg.onpointerdown = (p) => { began = when(p); };
	svg.onpointerup = (p) => {
		const [from, to] = [began, when(p)].sort((a, b) => a - b);
		began = null;
		if (from && to - from >= 5000) location.assign(`/?lang=${language}&from=${from}&to=${to}#changed`);
	};
	svg.onpointerleave = () => { read.textContent = legend(series); };
	if (!svg.matches(":hover")) read.textContent = legend(series);
}

const legend = (series) => series.filter((s) => s.values.some((v) => v > 0)).map((s) => `${s.name} (${s.look})`).join(", ");

// byMinute fills the table behind a plot.
function byMinute(table, series) {
	const rows = new Map();
	seconds.forEach((s, i) => {
		const minute = Math.floor(s.at / 60000) * 60000;
		if (!rows.has(minute)) rows.set(minute, series.map(() => 0));
		series.forEach((line, k) => { rows.get(minute)[k] += line.values[i] || 0; });
	});
	table.replaceChildren();
	const cell = (row, text, head) => {
		const c = document.createElement(head ? "th" : "td");
		c.textContent = text;
		row.append(c);
	};
	const head = table.createTHead().insertRow();
	for (const name of [words.minute, ...series.map((s) => fill(words.requests, s.name))]) cell(head, name, true);
	const body = table.createTBody();
	for (const [minute, values] of [...rows].reverse()) {
		const row = body.insertRow();
		cell(row, clock(minute), true);
		for (const v of values) cell(row, String(v));
	}
}

const known = (column) => seconds.map((s) => s[column].reduce((sum, n, i) => tiers[i] === "stranger" ? sum : sum + n, 0));

function draw() {
	[shown, marks] = spans.find(([s]) => seconds.length <= s) || spans[spans.length - 1];
	for (const e of document.querySelectorAll(".lasting")) e.textContent = lasting(shown);
	for (const row of at("groups").rows) {
		const i = tiers.indexOf(row.dataset.tier);
		spark(row.querySelector(".spark"), seconds.map((s) => s.asked[i] ? s.served[i] / s.asked[i] : null), 1, "served");
	}
	for (const row of at("actions").rows) {
		const i = acts.indexOf(row.dataset.act), values = seconds.map((s) => s.acts[i]);
		spark(row.querySelector(".spark"), values, Math.max(1, ...values), row.dataset.act);
	}
	for (const row of at("admitted").rows) {
		const values = seconds.map((s) => s[row.dataset.of]);
		row.querySelector(".now").textContent = values.length ? count(values[values.length - 1]) : "–";
		spark(row.querySelector(".spark"), values, Math.max(1, ...values), "sea");
	}
	const users = [
		{ name: words.asked, kind: "asked", look: words.looks.asked, values: known("asked") },
		{ name: words.served, kind: "served", look: words.looks.served, values: known("served") },
	];
	const done = acts.map((a, i) => ({ name: name(a), kind: a, look: words.looks[a] || "", values: seconds.map((s) => s.acts[i]) }));
	plot(at("plot-users"), users, at("read-users"));
	plot(at("plot-acts"), done, at("read-acts"));
	if (at("table-users").closest("details").open) byMinute(at("table-users"), users);
	if (at("table-acts").closest("details").open) byMinute(at("table-acts"), done);
}

function water(height) {
	const y = 64 - height * 0.32 - 1; // 0: a thin film; 100: up to the rule
	document.querySelector("#dike .water").setAttribute("d", `M0 ${y}H1000V64H0Z`);
	at("dike").setAttribute("aria-label", fill(words.pressure, height));
}

// Everything that acts asks once, says what it will do, and tells whether it was done.
function ask(text, verb, method, path, body) {
	at("ask-text").textContent = text;
	at("ask-yes").textContent = verb;
	at("ask").returnValue = "";
	at("ask").onclose = () => { if (at("ask").returnValue === "yes") act(method, path, body); };
	at("ask").showModal();
	at("ask-no").focus(); // what changes nothing is at hand first
}

// What a person does goes into the log under the name that they give.
async function act(method, path, body) {
	let trouble = "";
	const by = at("ask-by").value.trim();
	if (by && body && body.by) body.by = by;
	try {
		const answer = await fetch(by ? path + "?by=" + encodeURIComponent(by) : path, { method, body: body && JSON.stringify(body) });
		const told = answer.ok && path.endsWith("/test") ? (await answer.json()).filter((p) => p.trouble) : [];
		trouble = told.map((p) => p.place + ": " + said(p.trouble, p.trouble_de)).join("; ");
		if (!answer.ok) {
			trouble = String(answer.status);
			const why = await answer.json();
			trouble = said(why.title, why.title_de) || trouble;
		}
	} catch {
		if (!trouble) { // whether it was done nobody here knows
			at("done").textContent = words.no_answer;
			return;
		}
	}
	at("done").textContent = trouble ? fill(words.not_done, trouble) : words.done;
}

// items keeps those of a list that stay, so that a button keeps its focus, and
// puts what is new in its place; put fills an item with what is so now.
function items(list, all, key, none, put) {
	const old = new Map([...list.children].map((li) => [li.dataset.id, li]));
	const want = new Set(all.length ? all.map((v) => String(key(v))) : ["none"]);
	for (const [id, li] of old) if (!want.has(id)) li.remove();
	for (const li of [...list.children]) if (li.dataset.id === undefined) li.remove();
	const item = (id, i) => {
		const li = old.get(id) || document.createElement("li");
		if (!old.has(id)) {
			li.dataset.id = id;
			list.insertBefore(li, list.children[i] || null);
		}
		return li;
	};
	if (!all.length) item("none", 0).textContent = none;
	all.forEach((v, i) => {
		const li = item(String(key(v)), i);
		if (!li.querySelector("b")) li.append(document.createElement("b"), " ", document.createElement("span"));
		put(li, v);
	});
}

// button gives an item its button, once.
function button(li, text, label, press) {
	let b = li.querySelector("button");
	if (!b) {
		b = document.createElement("button");
		b.type = "button";
		b.className = "quiet";
		li.append(b);
	}
	if (b.textContent !== text) b.textContent = text;
	if (b.getAttribute("aria-label") !== label) b.setAttribute("aria-label", label);
	b.onclick = press;
}

function showAlerts(alerts) {
	const key = (a) => a.origin ? a.name + " " + a.origin : a.name;
	items(at("alerts"), alerts, key, words.no_alert, (li, a) => {
		const text = said(a.text, a.de);
		li.querySelector("b").textContent = a.severity;
		li.querySelector("span").textContent = text;
		if (!a.taken_by) {
			button(li, words.take, words.take + ": " + text, () => ask(fill(words.ask_take, text), words.take,
				"POST", "/api/v1/alerts/take", { alert: key(a), by: "console" }));
			return;
		}
		if (li.querySelector("button")) li.querySelector("button").remove();
		if (!li.querySelector("i")) li.append(" ", document.createElement("i"));
		li.querySelector("i").textContent = words.taken_by + " " + a.taken_by;
	});
}

function showRules(rules) {
	items(at("rules"), rules, (r) => r.id, words.no_rule, (li, r) => {
		li.querySelector("b").textContent = words.rule + " " + r.id;
		li.querySelector("span").textContent = said(r.text, r.de);
		button(li, words.undo, words.undo + ": " + words.rule + " " + r.id,
			() => ask(fill(words.ask_undo, r.id), words.undo, "DELETE", "/api/v1/hand/" + r.id));
	});
}

const day = (t) => new Date(t).toLocaleString(language, { hour12: false });
const onPath = (target, path) => path ? fill(fill(words.on_path, target), path) : target;
const listing = (l) => fill(words.by_hand[l.act] || "{}", onPath(l.target, l.path)) + ", " + (l.until ? fill(words.until, day(l.until)) : words.until_undone);

function showHand(hand) {
	items(at("hand"), hand, (l) => l.id, words.no_hand, (li, l) => {
		const text = listing(l);
		li.querySelector("b").textContent = l.id;
		li.querySelector("span").textContent = text;
		button(li, words.undo, words.undo + ": " + text, () => ask(fill(words.ask_back, text), words.undo, "DELETE", "/api/v1/hand/" + l.id));
	});
}

// showActions shows what people did, with the way back while there is one.
function showActions(actions) {
	items(at("acted"), actions, (a) => a.at + a.text, "", (li, a) => {
		const text = said(a.text, a.de);
		if (!li.querySelector("time")) li.prepend(document.createElement("time"));
		const t = li.querySelector("time");
		t.dateTime = a.at;
		t.title = utc(a.at);
		t.textContent = day(a.at);
		li.querySelector("b").textContent = a.by;
		li.querySelector("span").textContent = text;
		if (a.undo) button(li, words.undo, words.undo + ": " + text, () => ask(fill(words.ask_back, text), words.undo, "DELETE", "/api/v1/hand/" + a.undo));
		else if (li.querySelector("button")) li.querySelector("button").remove();
	});
}

const measured = (t) => {
	switch (words.units[t.name]) {
	case "share": return share(t.value);
	case "times": return count(t.value) + " ×";
	case "seconds": return count(t.value) + " s";
	case "yes": return t.value ? words.yes : words.no;
	}
	return count(t.value);
};

// showCauses says why origins suffer, and what speaks for that, the heaviest first.
function showCauses(origins) {
	const suffering = origins.filter((o) => o.why);
	const parts = origins.flatMap((o) => (o.segments || []).map((g) => ({ ...g, id: o.name + " " + (g.paths || ""), name: o.name + " · " + (g.paths || words.other_paths) })));
	items(at("causes"), [...suffering, ...parts], (o) => o.id || o.name, words.no_cause, (li, o) => {
		li.querySelector("b").textContent = o.name;
		li.querySelector("span").textContent = said(o.why, o.why_de);
		if (!li.querySelector("i")) li.append(" ", document.createElement("i"));
		li.querySelector("i").textContent = fill(words.sure, share(o.sure || 0)) + ", " + fill(words.since, clock(o.cause_since));
	});
	at("evidence").hidden = !suffering.length;
	at("terms").replaceChildren(...suffering.flatMap((o) =>
		[...(o.terms || [])].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).map((t) => {
			const row = document.createElement("tr"), head = document.createElement("th");
			head.scope = "row";
			head.textContent = words.terms[t.name] || t.name;
			if (suffering.length > 1) {
				const of = document.createElement("small");
				of.textContent = o.name;
				head.append(" ", of);
			}
			row.append(head);
			const lean = Math.max(-3, Math.min(3, t.weight)), tells = Math.abs(lean) >= .05;
			for (const text of [measured(t), tells ? (lean > 0 ? words.flood : words.crowd) + " " + count(Math.abs(t.weight)) : "–"]) {
				const cell = row.insertCell();
				cell.className = "n";
				cell.textContent = text;
			}
			const bar = row.insertCell(), svg = document.createElementNS(svgNS, "svg");
			bar.className = "lean";
			for (const [k, v] of [["viewBox", "-3 0 6 1"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) svg.setAttribute(k, v);
			el(svg, "path", { class: "axis", d: "M0 0V1" });
			if (tells) el(svg, "rect", { class: lean > 0 ? "flood" : "crowd", x: Math.min(lean, 0), y: .2, width: Math.abs(lean), height: .6 });
			bar.append(svg);
			return row;
		})));
}

// showNetworks leaves the rows where they are while somebody points at one, or
// has the focus there.
function showNetworks(v) {
	const placed = "placed" in at("networks-table").dataset;
	const body = at("networks"), rows = new Map([...body.rows].map((r) => [r.dataset.id, r]));
	const still = body.matches(":hover, :focus-within"), list = v.networks || [];
	at("networks-over").textContent = fill(words.networks_over, long(v.networks_seconds));
	at("networks-none").hidden = list.length > 0;
	at("networks-table").hidden = !list.length;
	at("networks-more").hidden = v.networks_all <= list.length;
	at("networks-more").textContent = fill(words.more_there, v.networks_all - list.length);
	const now = list.filter((n) => !still || rows.has(n.network)).map((n) => {
		let row = rows.get(n.network);
		if (!row) {
			row = document.createElement("tr");
			row.dataset.id = n.network;
			const head = document.createElement("th"), link = document.createElement("a");
			head.scope = "row";
			link.href = `/?lang=${language}&find=${encodeURIComponent(n.network)}#find`;
			link.textContent = n.network;
			head.append(link);
			row.append(head);
			if (placed) for (const text of [n.operator, said(n.country, n.country_de)]) row.insertCell().textContent = text || "";
			for (let i = 0; i < n.acts.length + 3; i++) row.insertCell().className = "n";
		}
		const before = row.cells.length - n.acts.length - 3;
		const asked = n.acts.reduce((a, b) => a + b, 0);
		[v.networks_seconds > 0 ? count(asked / v.networks_seconds) : "0", ...n.acts, n.before, n.ordered]
			.forEach((text, i) => { row.cells[before + i].textContent = text; });
		return row;
	});
	if (!still) body.replaceChildren(...now);
}

// showParts lists countries, or operators of networks; absent where no file tells of them.
function showParts(id, v) {
	if (!at(id)) return;
	const list = v[id] || [], all = v[id + "_all"] || 0;
	at(id + "-more").hidden = all <= list.length;
	at(id + "-more").textContent = fill(words.more_there, all - list.length);
	const each = (n) => v.networks_seconds > 0 ? count(n / v.networks_seconds) : "0";
	at(id).replaceChildren(...list.map((p) => {
		const row = document.createElement("tr"), head = document.createElement("th");
		head.scope = "row";
		head.textContent = said(p.name, p.name_de);
		row.append(head);
		const asked = p.acts.reduce((a, b) => a + b, 0);
		const turned = p.before + p.acts.reduce((sum, n, i) => ["allow", "keep"].includes(v.acts[i].act) ? sum : sum + n, 0);
		for (const n of [asked, turned]) {
			const cell = row.insertCell();
			cell.className = "n";
			cell.textContent = each(n);
		}
		return row;
	}));
}

function showMap(shades) {
	for (const land of at("map") ? at("map").children : []) {
		const kind = shades[land.dataset.c] ? "w" + shades[land.dataset.c] : "";
		if ((land.getAttribute("class") || "") !== kind) land.setAttribute("class", kind);
	}
}

const mib = (n) => count(n / (1 << 20)) + " MiB";
const long = (s) => s < 120 ? Math.floor(s) + " s" : Math.floor(s / 60) + " min";

function showSpool(s) {
	if (!s || !at("kept")) return;
	const put = (name, text) => { at("kept").querySelector("." + name).textContent = text; };
	put("mode", words.modes[!s.keeping ? "failed" : s.paused ? "paused" : s.draining ? "draining" : "on"]);
	put("waiting", s.waiting);
	put("oldest", long(s.oldest_seconds));
	put("bytes", mib(s.bytes));
	put("files", mib(s.files_bytes));
	put("kept", s.kept);
	put("refused", s.refused);
	for (const row of at("kept").querySelectorAll("[data-ended]")) row.cells[1].textContent = s.ended[row.dataset.ended] || 0;
	showSwitch(s.paused, s.waiting);
}

function showSwitch(paused, waiting) {
	const button = at("switch");
	button.hidden = false;
	button.textContent = paused ? words.resume : words.pause;
	button.onclick = () => ask(fill(paused ? words.ask_resume : words.ask_pause, waiting), button.textContent,
		"POST", "/api/v1/spool/" + (paused ? "resume" : "pause"));
}

function showGate(g) {
	const put = (name, text) => { at("gated").querySelector("." + name).textContent = text; };
	put("backend", g.backend);
	put("why", g.why);
	put("sources", g.sources);
	put("missed", g.missed);
	for (const p of g.packets || []) {
		const row = [...at("packets").rows].find((r) => r.dataset.reason === p.reason);
		if (!row) continue;
		row.querySelector(".fate").textContent = p.dropped ? words.dropped : words.passed;
		row.querySelector(".count").textContent = p.packets;
		row.querySelector(".bytes").textContent = p.bytes;
	}
}

// moment is something that happened, or that somebody did.
function moment(e) {
	const li = document.createElement("li"), t = document.createElement("time"), by = document.createElement("b");
	t.dateTime = e.at;
	t.title = utc(e.at);
	t.textContent = clock(e.at);
	li.append(t, " ");
	if (e.by) {
		by.textContent = e.by;
		li.append(by, " ");
	}
	li.append(said(e.text, e.de));
	return li;
}

let began = null; // where a range is being drawn
let mood = at("sentence").dataset.mood;

function show(v) {
	const sentence = said(v.sentence, v.sentence_de);
	at("sentence").textContent = sentence;
	at("at").textContent = clock(v.at);
	at("at").dateTime = v.at;
	at("link").textContent = words.live;
	if (v.mood !== mood) { // said aloud only when it turns, not each second
		mood = v.mood;
		at("said").textContent = sentence;
	}
	at("sentence").dataset.mood = mood;
	water(v.water);
	const put = (row, name, text) => { row.querySelector("." + name).textContent = text; };
	v.groups.forEach((g, i) => {
		const row = at("groups").rows[i];
		put(row, "asked", count(g.asked));
		put(row, "share", share(g.served));
		put(row, "p50", ms(g.p50_ms));
		put(row, "p99", ms(g.p99_ms));
	});
	v.acts.forEach((a, i) => {
		const row = at("actions").rows[i];
		put(row, "second", count(a.second));
		put(row, "total", a.total.toLocaleString(language));
	});
	v.origins.forEach((o, i) => {
		const row = at("origins").rows[i];
		if (!row) return;
		const state = o.failing ? words.failing : o.pressure ? words.pressed : words.calm;
		[o.name, state, count(o.demand), count(o.goodput), count(o.limit), o.inflight, o.queued, o.streams, o.cut]
			.forEach((text, k) => { row.cells[k].textContent = text; });
	});
	at("incident").hidden = !v.incident;
	if (v.incident) {
		at("incident-id").textContent = v.incident.id;
		at("incident-life").textContent = name(v.incident.life);
		at("incident-text").textContent = said(v.incident.sentence, v.incident.sentence_de);
		at("incident-timeline").replaceChildren(...v.incident.timeline.map(moment));
		at("incident-link").href = "/incidents/" + encodeURIComponent(v.incident.id) + "?lang=" + language;
	}
	at("listed").textContent = v.listed;
	at("ordered").textContent = v.ordered;
	showAlerts(v.alerts || []);
	showCauses(v.origins || []);
	showRules(v.rules || []);
	showNetworks(v);
	showParts("countries", v);
	showParts("operators", v);
	showMap(v.shades || {});
	showHand(v.hand || []);
	showSpool(v.spool);
	showGate(v.gate);
	events = v.events || [];
	if (events.length) at("happened").replaceChildren(...events.map(moment));
	if (v.actions && v.actions.length) showActions(v.actions);
	const last = seconds[seconds.length - 1];
	if (!last || v.second.at > last.at) seconds.push(v.second);
	if (seconds.length > kept) seconds.shift();
	draw();
}

async function start() {
	water(Number(at("dike").dataset.water));
	if (at("test")) {
		at("test").hidden = false;
		at("test").onclick = () => ask(words.ask_test, words.test, "POST", "/api/v1/alerts/test");
	}
	if (at("allow")) {
		at("allow").hidden = false;
		at("allow").onsubmit = (e) => {
			e.preventDefault();
			const [whom, span] = [at("allow-whom"), at("allow-for")], text = (select) => select.selectedOptions[0].textContent;
			const path = at("allow-on").value.trim();
			ask(fill(fill(words.ask_allow, onPath(text(whom), path)), text(span)), words.allow,
				"POST", "/api/v1/hand", { act: "allow", target: whom.value, path, for: span.value });
		};
	}
	if (at("switch")) showSwitch(at("switch").dataset.paused === "true", at("switch").dataset.waiting);
	const answer = await fetch("/api/v1/history");
	if (!answer.ok) throw new Error(String(answer.status));
	({ tiers, acts, seconds } = await answer.json());
	draw();
	const stream = new EventSource("/api/v1/events");
	stream.onmessage = (m) => show(JSON.parse(m.data));
	stream.onerror = () => { at("link").textContent = words.trying; };
	for (const d of document.querySelectorAll("details")) d.addEventListener("toggle", draw);
	addEventListener("resize", draw);
}

start().catch(() => { at("link").textContent = words.lost; });
