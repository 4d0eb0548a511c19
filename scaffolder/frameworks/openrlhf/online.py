"""The rules of OpenRLHF's online trainer: who has which GPUs, and what a step is made of.

Source: cli/train_ppo_ray.py, and what it calls, unless a rule names another file.
"""

from collections.abc import Iterator

from scaffolder import code
from scaffolder.frameworks.openrlhf.values import Values
from scaffolder.machine import visible_gpus
from scaffolder.numbers import nearest
from scaffolder.project import Finding

COMPARING = ("rloo", "reinforce_baseline", "group_norm", "dr_grpo")
"""Estimators that compare the responses to one prompt: one alone has the advantage 0."""
GROUPS = ("actor", "ref", "critic", "reward")
SAMPLES, PROMPTS = "rollout.n_samples_per_prompt", "rollout.batch_size"


def check(values: Values) -> Iterator[Finding]:
    yield from _gpus(values)
    yield from _together(values)
    yield from _engines(values)
    yield from _asynchronous(values)
    yield from _step(values)
    yield from _algorithm(values)
    yield from _rewards(values)


def group(values: Values, name: str) -> int:
    """GPUs of one model."""
    found = values.counts(f"{name}.num_nodes", f"{name}.num_gpus_per_node")
    return found[0] * found[1] if found else 0


def generating(values: Values) -> int:
    found = values.counts("vllm.num_engines", "vllm.tensor_parallel_size")
    return found[0] * found[1] if found else 0


def present(values: Values) -> dict[str, bool]:
    """Which models there are beside the actor."""
    return {
        "ref": (values.number("algo.kl.init_coef") or 0) > 0,
        "critic": values.get("algo.advantage.estimator") == "gae",
        "reward": not values.scored,
    }


def asked(values: Values) -> int:
    """GPUs that Ray is asked for; with fewer the run waits without end."""
    has = present(values)
    together = values.truth("train.colocate_critic_reward") and has["critic"]
    engines = generating(values)
    if values.truth("train.colocate_all"):
        apart = group(values, "critic") if together else 0
        more = engines if values.truth("train.async_enable") else 0
        return group(values, "actor") + apart + more
    wanted = group(values, "actor") + engines
    if has["ref"] and not values.truth("train.colocate_actor_ref"):
        wanted += group(values, "ref")
    wanted += group(values, "critic") if has["critic"] else 0
    return wanted + (group(values, "reward") if has["reward"] and not together else 0)


def _gpus(values: Values) -> Iterator[Finding]:
    spec, smoke = values.project.spec, values.config.is_smoke
    there = 1 if smoke else spec.nodes * spec.gpus_per_node
    wanted, one = asked(values), 1 if smoke else spec.gpus_per_node
    used = ["actor", *(name for name, has in present(values).items() if has)]
    for name in used:
        said = values.count(f"{name}.num_gpus_per_node")
        if said is not None and said > one:
            key = f"{name}.num_gpus_per_node"
            problem = f"{key} is {said}, and a machine has {one}: OpenRLHF would wait for ever"
            yield values.error(key, problem, f"Set it to {one} or less.")
    if wanted > there:
        problem = f"Ray is asked for {wanted} GPUs, and {there} were planned: it waits for ever"
        key = "vllm.num_engines" if generating(values) else "actor.num_gpus_per_node"
        yield values.error(key, problem, f"Lower the numbers until they make {there}.")
    elif wanted < there and not smoke:
        problem = f"Ray is asked for {wanted} GPUs, and {there} were planned"
        yield values.finding("warning", "vllm.num_engines", problem, f"Use all {there}.")
    visible = visible_gpus()
    if smoke and visible == 0:
        yield values.finding("note", "algorithm", "make smoke needs a GPU", "Run it elsewhere.")


def _together(values: Values) -> Iterator[Finding]:
    """Models that share GPUs have the same numbers of them."""
    has, all_ = present(values), values.truth("train.colocate_all")
    shares = {
        "ref": has["ref"] and (all_ or values.truth("train.colocate_actor_ref")),
        "critic": has["critic"] and all_,
        "reward": has["reward"] and all_,
    }
    for name in (each for each, does in shares.items() if does):
        for word in ("num_nodes", "num_gpus_per_node"):
            said, wanted = (values.count(f"{each}.{word}") for each in (name, "actor"))
            if said and wanted and said != wanted:
                key = f"{name}.{word}"
                problem = f"{key} is {said}, and that of the actor, whose GPUs it shares, {wanted}"
                yield values.error(key, problem, f"Set it to {wanted}.")
    both = has["critic"] and has["reward"] and values.truth("train.colocate_critic_reward")
    if both and group(values, "critic") != group(values, "reward"):
        problem = "critic and reward model share GPUs, and have different numbers of them"
        yield values.error("reward.num_gpus_per_node", problem, "Make both the same.")
    if values.truth("ds.enable_sleep") and not all_:
        problem = "the trained weights rest only where all models share GPUs"
        yield values.finding("warning", "ds.enable_sleep", problem, "Remove it.")


def _engines(values: Values) -> Iterator[Finding]:
    number, tensor = values.get("vllm.num_engines"), values.count("vllm.tensor_parallel_size")
    if number is None or number == 0:
        problem = "vllm.num_engines is not set, and OpenRLHF generates with vLLM alone"
        yield values.error("vllm.num_engines", problem, "Set it, to the GPUs that generate.")
        return
    engines, actor = generating(values), group(values, "actor")
    shares = values.truth("train.colocate_all") and not values.truth("train.async_enable")
    if shares and engines and actor and engines != actor:
        problem = f"the engines take {engines} GPUs, and share the {actor} of the actor"
        remedy = f"Make num_engines x tensor_parallel_size {actor}."
        yield values.error("vllm.num_engines", problem, remedy)
    per_node = values.project.spec.gpus_per_node
    if tensor and tensor > per_node and not values.config.is_smoke:
        problem = f"an engine of {tensor} GPUs is more than a machine of {per_node}"
        yield values.error("vllm.tensor_parallel_size", problem, f"Set it to {per_node} or less.")
    heads = values.model().get("num_attention_heads")
    if isinstance(heads, int) and tensor and heads % tensor:
        problem = f"{tensor} GPUs of an engine do not divide the model's {heads} attention heads"
        yield values.error("vllm.tensor_parallel_size", problem, "Set it to a divisor.")
    share = values.number("vllm.gpu_memory_utilization")
    if shares and share is not None and share > 0.8:
        problem = f"vLLM takes {share:g} of each GPU, and the trainer shares them"
        yield values.finding("warning", "vllm.gpu_memory_utilization", problem, "Set it to 0.5.")
    if shares and not values.truth("vllm.enable_sleep"):
        problem = "vLLM keeps its memory while the models train on the same GPUs"
        yield values.finding("warning", "train.colocate_all", problem, "Set vllm.enable_sleep.")


def _asynchronous(values: Values) -> Iterator[Finding]:
    is_async = values.truth("train.async_enable")
    if is_async and values.truth("vllm.enable_sleep") and values.truth("train.colocate_all"):
        problem = "vLLM cannot sleep while it generates beside the trainer"
        yield values.error("vllm.enable_sleep", problem, "Remove it.")
    if values.truth("train.partial_rollout_enable") and not is_async:
        problem = "responses are carried over a step only where generation is asynchronous"
        yield values.error("train.partial_rollout_enable", problem, "Set train.async_enable: true.")
    more, prompts = values.count("rollout.vllm_generate_batch_size"), values.count(PROMPTS)
    if more and prompts and more > prompts and not is_async:
        problem = f"{more} prompts are answered ahead of {prompts}, without asynchronous generation"
        key = "rollout.vllm_generate_batch_size"
        yield values.error(key, problem, "Set train.async_enable: true, or lower it.")


def _step(values: Values) -> Iterator[Finding]:
    """Prompts, responses, optimizer steps, tokens."""
    numbers = values.counts(PROMPTS, SAMPLES, "train.batch_size", "rollout.micro_batch_size")
    if numbers is not None:
        prompts, samples, batch, micro = numbers
        responses, actors = prompts * samples, (values.gpus or 1) // values.shared
        if responses % batch:
            problem = f"{prompts} prompts x {samples} responses are no whole number of {batch}"
            remedy = f"Make them {nearest(responses, batch)}, or change train.batch_size."
            yield values.error(PROMPTS, problem, remedy)
        elif responses // micro < actors:
            problem = f"{responses} responses in forwards of {micro} leave some of {actors} GPUs"
            key = "rollout.micro_batch_size"
            yield values.error(key, problem, f"Set it to {max(responses // actors, 1)} or less.")
    new, longest = values.count("rollout.max_new_tokens"), values.count("data.max_len")
    if new and longest and new >= longest:
        problem = f"responses of {new} tokens leave no room for a prompt in {longest}"
        yield values.error("rollout.max_new_tokens", problem, "Lower it, or raise data.max_len.")
    buffer = values.number("reward.overlong_buffer_len")
    if buffer is not None and buffer > (new or longest or buffer):
        problem = f"the last {buffer:g} tokens lose worth, and a response has {new or longest}"
        yield values.error("reward.overlong_buffer_len", problem, "Lower it.")


def _algorithm(values: Values) -> Iterator[Finding]:
    estimator, samples = values.get("algo.advantage.estimator"), values.count(SAMPLES)
    if estimator in COMPARING and samples == 1:
        problem = f"{estimator} compares the responses to one prompt, and there is one"
        yield values.error(SAMPLES, problem, "Set it to 2 or more, as 8.")
    if values.truth("algo.dynamic_filtering_enable"):
        key = "algo.dynamic_filtering_enable"
        if samples == 1:
            problem = "prompts are chosen by what several responses are worth, and there is one"
            yield values.error(key, problem, f"Set {SAMPLES} to 2 or more.")
        span = values.get("algo.dynamic_filtering_range")
        if isinstance(span, list) and len(span) == 2 and not span[0] < span[1]:
            name = "algo.dynamic_filtering_range"
            yield values.error(name, f"{span} holds nothing", "Write the lower number first.")
        if not values.scored:
            problem = "prompts are chosen by a reward function, and the reward is a model"
            yield values.error(key, problem, "Remove it, or set `rewards`.")
    if values.truth("algo.kl.use_loss") and values.get("algo.kl.estimator") == "k1":
        problem = "k1 as a loss has another gradient than meant; k2 or k3 are"
        yield values.finding("warning", "algo.kl.use_loss", problem, "Set algo.kl.estimator: k3.")
    threshold = values.get("algo.advantage.is_correction_threshold")
    if isinstance(threshold, list) and len(threshold) not in {1, 2}:
        key = "algo.advantage.is_correction_threshold"
        yield values.error(key, f"{key} takes HIGH, or LOW and HIGH", "Write one or two numbers.")
    coefficient = values.number("reward.stop_properly_penalty_coef")
    if coefficient is not None and coefficient > 1:
        key = "reward.stop_properly_penalty_coef"
        yield values.error(key, f"{key} is {coefficient:g}", "Write 0 to 1, or a negative reward.")
    if (values.count("data.max_images_per_prompt") or 0) > 0:
        for key, used in (
            ("algo.advantage.estimator", estimator == "gae"),
            ("ds.packing_samples", values.truth("ds.packing_samples")),
        ):
            if used:
                problem = "models that see images are trained without a critic and without packing"
                yield values.error(key, problem, "Change it, or remove data.max_images_per_prompt.")


def _rewards(values: Values) -> Iterator[Finding]:
    """Functions and classes that the config names: their exceptions OpenRLHF swallows."""
    folder = values.project.path
    for key, default, arguments in (("rewards", "score", 4), ("environment", "", 0)):
        name = values.get(key)
        if isinstance(name, str) and name:
            problem = code.problem_of(folder, name, default, arguments)
            if problem:
                yield values.error(key, f"{key}: {problem}", "Correct the name, or write it.")
    for key in ("reward.remote_url", "train.agent_func_path"):
        path = values.text(key)
        if path.endswith(".py") and "://" not in path and not (folder / path).is_file():
            yield values.error(key, f"{path} is not there", "Correct the path, or remove it.")
