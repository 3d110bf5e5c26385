// Requests to the API, and the lines of its streams.

const SLICE = 12; // milliseconds of work until the browser may draw

// Return the response; throw an error with a `status` if the API refuses.
export async function request(path, options) {
	const response = await fetch(path, { cache: "no-store", ...options });
	if (response.ok) return response;
	const { status } = response;
	const { detail = `the server answered ${status}`, trace } =
		await response.json().catch(() => ({})); // a proxy's error page is not JSON
	const text = trace ? `${detail} (trace ${trace})` : detail;
	throw Object.assign(new Error(text), { status });
}

export const reasonOf = ({ status, message }) =>
	status ? message : "the control plane does not answer";

export const getJSON = async (path) => (await request(path)).json();

// Change something, with a field that no other site can send.
export function change(method, path, content) {
	const headers = { "Kakuri-Request": "1", "Content-Type": "application/json" };
	return request(path, { method, headers, body: content && JSON.stringify(content) });
}

export const workloadPath = (id) => `/workloads/${encodeURIComponent(id)}`;

// Call a function with the lines of each piece; end after a silence.
export async function readLines(response, onLines, silence = 2 ** 31 - 1) {
	const reader = response.body.getReader();
	const decoder = new TextDecoder();
	let partial = "";
	let timer;
	let started = performance.now();
	try {
		for (;;) {
			timer = setTimeout(() => reader.cancel(), silence);
			const { done, value } = await reader.read();
			clearTimeout(timer);
			if (done) return;
			const lines = (partial + decoder.decode(value, { stream: true })).split("\n");
			partial = lines.pop();
			if (lines.length) onLines(lines.map((line) => JSON.parse(line)));
			if (performance.now() - started < SLICE) continue;
			await new Promise((resolve) => setTimeout(resolve));
			started = performance.now();
		}
	} finally {
		clearTimeout(timer);
		reader.cancel().catch(() => {});
	}
}

// Return when to try again: later after each attempt, and not when others do.
export const dueAfter = (attempts) =>
	Date.now() + Math.min(500 * 2 ** attempts, 10_000) * (0.5 + Math.random());

export const waitUntil = (time, signal) =>
	new Promise((resolve) => {
		setTimeout(resolve, time - Date.now());
		signal.addEventListener("abort", resolve);
	});
