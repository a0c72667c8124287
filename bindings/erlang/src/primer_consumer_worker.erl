%% @private One worker of a {@link primer_consumer}.
-module(primer_consumer_worker).
-behaviour(gen_server).

-include_lib("kernel/include/logger.hrl").

-export([start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

%% How long a handler may take, in ms, unless told otherwise.
-define(MAX_RUN, 3_600_000).

-record(worker, {
    parent :: pid(),
    module :: module(),
    subscription :: primer:handle(),
    state :: term()
}).

-spec start_link(module(), primer_consumer:options()) -> gen_server:start_ret().
start_link(Module, Options) ->
    gen_server:start_link(?MODULE, {Module, Options}, []).

-spec init({module(), primer_consumer:options()}) -> {ok, #worker{}} | {stop, term()}.
init({Module, #{queue := Queue} = Options}) ->
    %% So that a stop by the supervisor runs terminate/2.
    process_flag(trap_exit, true),
    {ok, State} = Module:init(maps:get(args, Options, [])),
    Asked = maps:with([credit, credit_bytes, lease, max_run, group, backlog], Options),
    Subscribe = maps:merge(#{credit => 1, max_run => ?MAX_RUN}, Asked),
    case primer:subscribe(Queue, Subscribe) of
        {ok, Subscription} ->
            {ok, #worker{parent = parent(), module = Module, subscription = Subscription, state = State}};
        {error, Error} ->
            {stop, Error}
    end.

-spec handle_call(term(), gen_server:from(), #worker{}) -> {reply, {error, unknown}, #worker{}}.
handle_call(_, _From, Worker) ->
    {reply, {error, unknown}, Worker}.

-spec handle_cast(term(), #worker{}) -> {noreply, #worker{}}.
handle_cast(_, Worker) ->
    {noreply, Worker}.

-spec handle_info(term(), #worker{}) -> {noreply, #worker{}} | {stop, term(), #worker{}}.
handle_info({primer, Subscription, {error, Error}}, #worker{subscription = Subscription} = Worker) ->
    {stop, Error, Worker};
handle_info({primer, Subscription, Delivery}, #worker{subscription = Subscription} = Worker) ->
    #worker{parent = Parent} = Worker,
    %% An order to stop goes before what waits in the mailbox: that goes back untried.
    receive
        {'EXIT', Parent, Reason} ->
            told(primer:release(Delivery), Delivery),
            {stop, Reason, Worker}
    after 0 -> {noreply, handle(Delivery, Worker)}
    end;
handle_info(_, Worker) ->
    {noreply, Worker}.

parent() ->
    case get('$ancestors') of
        [Name | _] when is_atom(Name) -> whereis(Name);
        [Parent | _] -> Parent
    end.

handle(Delivery, #worker{module = Module, state = State} = Worker) ->
    try
        {Verdict, After} = Module:handle_message(Delivery, State),
        {settle(Verdict, Delivery), After}
    of
        {Settled, After} ->
            told(Settled, Delivery),
            Worker#worker{state = After}
    catch
        %% Also for an answer that is no verdict.
        Class:Reason:Stack ->
            ?LOG_ERROR(#{
                label => {primer_consumer, raised},
                module => Module,
                message => maps:with([id, queue, attempts], Delivery),
                raised => {Class, Reason, Stack}
            }),
            told(primer:nack(Delivery), Delivery),
            Worker
    end.

settle(ack, Delivery) -> primer:ack(Delivery);
settle({reply, Body}, #{headers := Headers} = Delivery) ->
    case lists:keymember(<<"primer-reply-to">>, 1, Headers) of
        true -> primer:reply(Delivery, Body);
        false -> primer:ack(Delivery)
    end;
settle(nack, Delivery) -> primer:nack(Delivery);
settle({nack, Options}, Delivery) -> primer:nack(Delivery, Options);
settle({reject, Reason}, Delivery) -> primer:reject(Delivery, Reason);
settle(release, Delivery) -> primer:release(Delivery);
settle(noreply, _Delivery) -> ok.

%% A verdict that came too late changes nothing: someone else has the message, or it is finished.
told(ok, _Delivery) ->
    ok;
told({error, {_, _, #{number := Number}} = Error}, Delivery) ->
    %% What was refused is a failure: it might be taken the next time.
    _ = Number < 400 andalso primer:nack(Delivery),
    ?LOG_WARNING(#{
        label => {primer_consumer, not_settled},
        message => maps:with([id, queue, attempts], Delivery),
        error => Error
    }).

-spec terminate(term(), #worker{}) -> ok.
terminate(Reason, #worker{module = Module, subscription = Subscription, state = State}) ->
    _ = primer:close(Subscription),
    _ = erlang:function_exported(Module, terminate, 2) andalso Module:terminate(Reason, State),
    ok.
