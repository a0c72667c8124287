%% @doc A behaviour for processes that work on a queue.
%%
%% ```
%% -module(mailer).
%% -behaviour(primer_consumer).
%% -export([init/1, handle_message/2]).
%% init(_) -> {ok, no_state}.
%% handle_message(#{body := Body}, State) -> send(Body), {ack, State}.
%%
%% %% in a supervisor:
%% primer_consumer:child_spec(mailer, #{queue => <<"emails">>, workers => 8})
%% '''
%%
%% Each worker is a process with a subscription of its own, so its death gives back what it had. A
%% message whose handler raises, or answers what is no verdict or is refused (a reply that is too large), is
%% told to the logger and nacked (it comes again after the back-off, the attempt counted); the worker goes on,
%% after a raise with the state it had. A worker that is killed is no attempt: what it had comes again at once,
%% so leave a handler's failures to this behaviour instead of to a link. The lease of what is worked on is
%% kept by Primer's own thread for `max_run', however long the handler takes. A worker that is stopped
%% by its supervisor finishes the message that it has, for up to `drain', and gives the rest back.
-module(primer_consumer).
-behaviour(supervisor).

-export([child_spec/2, start_link/2]).
-export([init/1]).
-export_type([options/0, verdict/0]).

-callback init(Args :: term()) -> {ok, State :: term()}.
-callback handle_message(primer:delivery(), State :: term()) -> {verdict(), State :: term()}.
-callback terminate(Reason :: term(), State :: term()) -> term().
-optional_callbacks([terminate/2]).

-type verdict() ::
    ack | {reply, iodata()} | nack | {nack, #{delay => non_neg_integer()}} | {reject, Reason :: binary()} | release | noreply.
%% `reply': for whoever called; an ack, where nobody did. `noreply': the handler settles the delivery itself, later or in another process.

-type options() :: #{
    queue := primer:queue(),
    args => term(),
    workers => pos_integer(),
    credit => pos_integer(),
    credit_bytes => pos_integer(),
    lease => pos_integer(),
    max_run => pos_integer(),
    drain => timeout(),
    group => primer:name(),
    backlog => boolean(),
    id => term()
}.
%% `args' ([]) go to `init/1'; `workers' (1) is the number of processes; `credit' (1) how many messages
%% each of them may have: more saves round trips, less shares the work better. `group' (the queue itself) is where
%% they consume. Times are ms: `max_run' (an hour) from the delivery on, `drain' (5,000) from the order to stop.

%% @doc For a supervisor's list of children.
-spec child_spec(module(), options()) -> supervisor:child_spec().
child_spec(Module, Options) ->
    #{
        id => maps:get(id, Options, Module),
        start => {?MODULE, start_link, [Module, Options]},
        type => supervisor
    }.

%% @doc Starts the workers under a supervisor of their own.
-spec start_link(module(), options()) -> supervisor:startlink_ret().
start_link(Module, #{queue := _} = Options) ->
    supervisor:start_link(?MODULE, {Module, Options}).

%% @private
-spec init({module(), options()}) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init({Module, Options}) ->
    Worker = fun(Number) ->
        #{
            id => Number,
            start => {primer_consumer_worker, start_link, [Module, Options]},
            shutdown => maps:get(drain, Options, 5_000)
        }
    end,
    Workers = lists:map(Worker, lists:seq(1, maps:get(workers, Options, 1))),
    {ok, {#{strategy => one_for_one, intensity => 10, period => 60}, Workers}}.
