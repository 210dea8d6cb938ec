// What pages cannot do without a script: all boxes of a table at once, one click per form, and a
// part of a page that follows what happens on the server. Every page works without it.

// A form is sent once: a second click does nothing while the first is under way.
document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") {
        // Empty fields stay out of the address.
        if ("compact" in form.dataset)
            for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
        return;
    }
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
});
// Back must find forms that can be used again.
window.addEventListener("pageshow", () => {
    for (const form of document.forms) {
        delete form.dataset.sent;
        for (const field of form.elements) if ("compact" in form.dataset) field.disabled = false;
    }
});

// The box in the head of a table ticks those below it; a counter says how many there are.
for (const all of document.querySelectorAll("[data-all]")) {
    const boxes = document.querySelectorAll(`input[name="${all.dataset.all}"]`);
    const told = document.querySelectorAll("[data-picked]");
    const tell = () => {
        const picked = [...boxes].filter((box) => box.checked).length;
        all.checked = picked === boxes.length && picked > 0;
        all.indeterminate = picked > 0 && picked < boxes.length;
        for (const place of told) {
            place.textContent = picked;
            const button = place.closest("button");
            if (button) button.disabled = picked === 0;
        }
    };
    all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; tell(); });
    for (const box of boxes) box.addEventListener("change", tell);
    tell();
}

// <div data-live="/path" data-every="2">: replaced by what the path answers, until that has no data-live.
function follow(part) {
    setTimeout(async () => {
        let next = part;
        try {
            const answer = await fetch(part.dataset.live, { headers: { accept: "text/html" }, redirect: "error" });
            if (!answer.ok) return;
            const holder = document.createElement("template");
            holder.innerHTML = await answer.text();
            next = holder.content.firstElementChild;
            part.replaceWith(next);
        } catch (error) {
            // The server is away for a moment: what is shown stays, and it is asked again.
            console.warn("live part:", error);
        }
        if (next.dataset.live) follow(next);
    }, 1000 * Number(part.dataset.every || 2));
}
for (const part of document.querySelectorAll("[data-live]")) follow(part);
